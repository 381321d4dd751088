//! The alternating rounds: bare disk and logs take turns, so that what else the machine does meets
//! all of them alike.

use std::time::Duration;

use anyhow::Result;
use avouch_broker::log::Durability;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::directory;
use crate::load::{Commit, Load, config};
use crate::raw::Raw;

pub(crate) const ROUNDS: usize = 5;
/// Of a log a round.
const ROUND_BYTES: usize = 128 << 20;
/// Before the first round: the write-ahead log has gone round once.
const WARM_UP_BYTES: usize = 256 << 20;
/// Commits one after the other, each alone, a round.
const LONE_COMMITS: usize = 200;
/// Batches unanswered at a time.
const WINDOW: usize = 256;
const CASES: [(Durability, i32); 6] = [
    (Durability::Fsync, 1),
    (Durability::Fsync, 100),
    (Durability::Fsync, 4_000),
    (Durability::Os, 1),
    (Durability::Os, 100),
    (Durability::Os, 4_000),
];

/// What the rounds gave.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Rounds {
    pub(crate) raw_mb_per_s: f64,
    pub(crate) raw_synced_mb_per_s: f64,
    pub(crate) raw_commit_p50_us: f64,
    pub(crate) raw_commit_p99_us: f64,
    pub(crate) cases: Vec<CaseRow>,
    pub(crate) fetch_mb_per_s: f64,
}

/// One log's figures; times in µs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct CaseRow {
    pub(crate) durability: String,
    pub(crate) partitions: i32,
    pub(crate) mb_per_s: f64,
    /// A commit that is alone.
    pub(crate) lone_p50_us: f64,
    pub(crate) lone_p99_us: f64,
    /// A commit among as many as the window takes.
    pub(crate) p99_outside_us: f64,
    pub(crate) p99_in_checkpoint_us: f64,
    pub(crate) checkpoints: u64,
    pub(crate) written_per_byte: f64,
}

struct Case {
    durability: Durability,
    load: Load,
    speeds: Vec<f64>,
    lone: Vec<Duration>,
    commits: Vec<Commit>,
    written_before: u64,
    checkpoints_before: u64,
    _dir: TempDir,
}

pub(crate) fn measured() -> Result<Rounds> {
    let raw_dir = directory()?;
    let raw = Raw::new(raw_dir.path(), ROUND_BYTES)?;
    let mut cases = Vec::new();
    for (durability, partitions) in CASES {
        cases.push(Case::new(durability, partitions)?);
    }
    let (mut whole, mut synced, mut bare, mut fetches) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        whole.push(mb_per_s(ROUND_BYTES, raw.write_whole()?));
        synced.push(mb_per_s(ROUND_BYTES, raw.write_synced()?));
        bare.extend(raw.commits(LONE_COMMITS)?);
        for case in &mut cases {
            case.round()?;
        }
        let (bytes, took) = cases[0].load.fetch()?;
        fetches.push(mb_per_s(bytes, took));
    }
    let (raw_commit_p50_us, raw_commit_p99_us) = percentiles(bare);
    Ok(Rounds {
        raw_mb_per_s: median(whole),
        raw_synced_mb_per_s: median(synced),
        raw_commit_p50_us,
        raw_commit_p99_us,
        cases: cases.into_iter().map(Case::row).collect::<Result<_>>()?,
        fetch_mb_per_s: median(fetches),
    })
}

impl Case {
    fn new(durability: Durability, partitions: i32) -> Result<Self> {
        let dir = directory()?;
        let (mut load, _) = Load::open(config(dir.path(), durability), partitions, WINDOW)?;
        load.append(WARM_UP_BYTES)?;
        load.commits();
        Ok(Self {
            durability,
            written_before: load.seen.written(),
            checkpoints_before: load.seen.checkpoints(),
            load,
            speeds: Vec::new(),
            lone: Vec::new(),
            commits: Vec::new(),
            _dir: dir,
        })
    }

    fn round(&mut self) -> Result<()> {
        let took = self.load.append(ROUND_BYTES)?;
        self.speeds.push(mb_per_s(ROUND_BYTES, took));
        self.commits.extend(self.load.commits());
        for _ in 0..LONE_COMMITS {
            self.load.append(crate::load::BATCH_BYTES)?;
        }
        let lone = self.load.commits();
        self.lone.extend(lone.iter().map(|commit| commit.took));
        Ok(())
    }

    fn row(self) -> Result<CaseRow> {
        self.load.log.close()?;
        let produced = ROUNDS * (ROUND_BYTES + LONE_COMMITS * crate::load::BATCH_BYTES);
        let written = self.load.seen.written() - self.written_before;
        let took = |wanted: bool| {
            let commits = self.commits.iter();
            let some = commits.filter(|commit| commit.in_checkpoint == wanted);
            percentiles(some.map(|commit| commit.took).collect())
        };
        let (_, p99_outside_us) = took(false);
        let (_, p99_in_checkpoint_us) = took(true);
        let checkpoints = self.load.seen.checkpoints() - self.checkpoints_before;
        let (lone_p50_us, lone_p99_us) = percentiles(self.lone);
        Ok(CaseRow {
            durability: match self.durability {
                Durability::Fsync => "fsync",
                Durability::Os => "os",
            }
            .to_owned(),
            partitions: i32::try_from(self.load.partitions.len())?,
            mb_per_s: median(self.speeds),
            lone_p50_us,
            lone_p99_us,
            p99_outside_us,
            p99_in_checkpoint_us,
            checkpoints,
            written_per_byte: written as f64 / produced as f64,
        })
    }
}

fn mb_per_s(bytes: usize, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// p50 and p99 in µs; zero of nothing.
fn percentiles(mut all: Vec<Duration>) -> (f64, f64) {
    all.sort_unstable();
    let at = |percent: usize| {
        let found = all.get(all.len() * percent / 100);
        found.map_or(0.0, |took| took.as_secs_f64() * 1e6)
    };
    (at(50), at(99))
}
