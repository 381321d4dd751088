//! Alternating rounds: the raw disk and the logs take turns, so that other load on the machine
//! affects all of them equally.

use std::time::Duration;

use anyhow::Result;
use avouch_bench_report::log::{AppendRow, FetchRow, Raw as RawResults};
use avouch_log::Durability;
use tempfile::TempDir;

use crate::directory;
use crate::fetches::Fetches;
use crate::load::{BATCH_BYTES, Commit, Load, Shape, config};
use crate::raw::{Raw, evict_from_page_cache};
use crate::statistics::{mb_per_s, median, percentiles};

const CASES: [(Durability, i32); 6] = [
    (Durability::Fsync, 1),
    (Durability::Fsync, 100),
    (Durability::Fsync, 4_000),
    (Durability::Os, 1),
    (Durability::Os, 100),
    (Durability::Os, 4_000),
];
const FETCHED: [i32; 3] = [1, 100, 4_000];

/// Amount of work of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) rounds: usize,
    /// Bytes appended to each log per round.
    pub(crate) round_bytes: usize,
    /// Bytes appended before the first round, so that all WAL files have been used once.
    pub(crate) warm_up_bytes: usize,
    /// Commits per round without another one in flight.
    pub(crate) lone_commits: usize,
}

impl Scale {
    pub(crate) const FULL: Self = Self {
        rounds: 5,
        round_bytes: 128 << 20,
        warm_up_bytes: 256 << 20,
        lone_commits: 200,
    };
    /// A short run for development.
    pub(crate) const LOOK: Self = Self {
        rounds: 1,
        round_bytes: 72 << 20,
        warm_up_bytes: 8 << 20,
        lone_commits: 20,
    };
}

/// Results of the rounds.
#[derive(Debug)]
pub(crate) struct Rounds {
    pub(crate) raw: RawResults,
    pub(crate) appends: Vec<AppendRow>,
    pub(crate) fetches: Vec<FetchRow>,
}

pub(crate) fn measured(scale: Scale) -> Result<Rounds> {
    let mut raw_disk = RawDisk::new(scale)?;
    let cases = CASES.iter();
    let mut cases = cases
        .map(|(durability, partitions)| Case::new(scale, *durability, *partitions))
        .collect::<Result<Vec<_>>>()?;
    let fetched = FETCHED.iter();
    let mut fetched = fetched
        .map(|partitions| Fetches::new(scale, *partitions))
        .collect::<Result<Vec<_>>>()?;
    for round in 1..=scale.rounds {
        crate::print_progress(&format!("round {round} of {}", scale.rounds));
        raw_disk.round(scale)?;
        for case in &mut cases {
            case.round(scale)?;
        }
        for fetches in &mut fetched {
            fetches.round()?;
        }
    }
    Ok(Rounds {
        raw: raw_disk.results(),
        appends: cases.into_iter().map(Case::row).collect::<Result<_>>()?,
        fetches: fetched
            .into_iter()
            .map(Fetches::row)
            .collect::<Result<_>>()?,
    })
}

/// Rounds of the raw disk.
struct RawDisk {
    raw: Raw,
    whole: Vec<f64>,
    synced: Vec<f64>,
    commits: Vec<Duration>,
    cached: Vec<f64>,
    disk: Vec<f64>,
    dir: TempDir,
}

impl RawDisk {
    fn new(scale: Scale) -> Result<Self> {
        let dir = directory()?;
        Ok(Self {
            raw: Raw::new(dir.path(), scale.round_bytes)?,
            whole: Vec::new(),
            synced: Vec::new(),
            commits: Vec::new(),
            cached: Vec::new(),
            disk: Vec::new(),
            dir,
        })
    }

    fn round(&mut self, scale: Scale) -> Result<()> {
        let speed = |took| mb_per_s(scale.round_bytes, took);
        self.whole.push(speed(self.raw.write_whole()?));
        self.synced.push(speed(self.raw.write_synced()?));
        self.commits.extend(self.raw.commits(scale.lone_commits)?);
        self.cached.push(speed(self.raw.read()?));
        evict_from_page_cache(self.dir.path())?;
        self.disk.push(speed(self.raw.read()?));
        Ok(())
    }

    fn results(self) -> RawResults {
        let (commit_p50_us, commit_p99_us) = percentiles(self.commits);
        RawResults {
            write_mb_per_s: median(self.whole),
            synced_mb_per_s: median(self.synced),
            commit_p50_us,
            commit_p99_us,
            cached_mb_per_s: median(self.cached),
            disk_mb_per_s: median(self.disk),
        }
    }
}

/// Append rounds of one log.
struct Case {
    durability: Durability,
    load: Load,
    speeds: Vec<f64>,
    lone: Vec<Duration>,
    commits: Vec<Commit>,
    checkpoints_before: usize,
    _dir: TempDir,
}

impl Case {
    fn new(scale: Scale, durability: Durability, partitions: i32) -> Result<Self> {
        let dir = directory()?;
        let mut load = Load::open(config(dir.path(), durability), Shape::of(partitions))?;
        load.append(scale.warm_up_bytes)?;
        load.commits();
        Ok(Self {
            durability,
            checkpoints_before: load.activity.checkpoints().len(),
            load,
            speeds: Vec::new(),
            lone: Vec::new(),
            commits: Vec::new(),
            _dir: dir,
        })
    }

    fn round(&mut self, scale: Scale) -> Result<()> {
        let took = self.load.append(scale.round_bytes)?;
        self.speeds.push(mb_per_s(scale.round_bytes, took));
        self.commits.extend(self.load.commits());
        for _ in 0..scale.lone_commits {
            self.load.append(BATCH_BYTES)?;
        }
        let lone = self.load.commits();
        self.lone.extend(lone.iter().map(Commit::took));
        Ok(())
    }

    fn row(self) -> Result<AppendRow> {
        self.load.log.close()?;
        let checkpoints = self.load.activity.checkpoints();
        let overlaps = |commit: &Commit| {
            let mut all = checkpoints.iter();
            all.any(|checkpoint| checkpoint.overlaps(commit.from, commit.to))
        };
        let (inside, outside): (Vec<_>, Vec<_>) = self.commits.iter().copied().partition(overlaps);
        let took = |commits: &[Commit]| percentiles(commits.iter().map(Commit::took));
        let (p50_us, p99_us) = took(&self.commits);
        let (lone_p50_us, lone_p99_us) = percentiles(self.lone);
        Ok(AppendRow {
            durability: match self.durability {
                Durability::Fsync => "fsync",
                Durability::Os => "os",
            }
            .to_owned(),
            partitions: self.load.partitions.len(),
            mb_per_s: median(self.speeds),
            lone_p50_us,
            lone_p99_us,
            p50_us,
            p99_us,
            p99_outside_us: took(&outside).1,
            p99_in_checkpoint_us: took(&inside).1,
            // The last checkpoint is taken by `close` and is not part of the measurement.
            checkpoints: checkpoints
                .len()
                .saturating_sub(self.checkpoints_before + 1),
        })
    }
}
