//! Random workloads, faults and crashes.
//!
//! Every choice comes from the seed, which a failure names. `AVOUCH_LOG_SEEDS=4711..4712` runs one
//! seed, `0..100000` many.

use std::ops::Range;

use super::crash::outlive;
use super::harness::small;
use super::model::{Model, TOPICS};
use super::scripts::Run;
use super::sim::{Crash, Faults, SimDisk};
use crate::{Durability, LogConfig};

const SEEDS: Range<u64> = 0..2_000;
/// Maximum number of consecutive crashes of one disk.
const LIVES_MAX: u64 = 3;
const WORDS_MAX: u64 = 24;
/// Steps of a script, by frequency. A `#` is replaced by the number of a topic.
const WORDS: &[&str] = &[
    "a#", "a#", "i#", "i#", "i#", "i#*3", "A#", "I#", "I#*2", "i#+a#", "A#+i#", "p", "p", "p", "p",
    "p", "o", "f", "f", "c", "c", "c", "d#", "s#", "S#", "k", "k", "x", "g", "g",
];

// Conformance: log-proof/2, log-proof/10
#[test]
fn random_runs_keep_acknowledged_batches() {
    let mut crashes = 0;
    let seeds = seeds();
    for seed in seeds.clone() {
        crashes += survive(seed).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
    }
    assert!(crashes >= seeds.count() as u64, "only {crashes} crashes");
}

fn seeds() -> Range<u64> {
    let Ok(requested) = std::env::var("AVOUCH_LOG_SEEDS") else {
        return SEEDS;
    };
    let (from, to) = requested
        .split_once("..")
        .expect("AVOUCH_LOG_SEEDS=FROM..TO");
    from.parse().unwrap()..to.parse().unwrap()
}

/// Runs one seed; returns the number of crashes.
pub(super) fn survive(seed: u64) -> Result<u64, String> {
    let mut dice = Dice(seed);
    let config = dice.config();
    let model = Model::default();
    let mut disk = SimDisk::new(Faults::default());
    let mut may_lose_tail = false;
    let mut story = vec![format!("{config:?}")];
    let lives = 1 + dice.below(LIVES_MAX);
    for life in 1..=lives {
        let script = dice.script();
        let faults = dice.faults(&config, &disk, &model, &script);
        disk.set_faults(faults);
        let mut run = Run::on(config.clone(), disk, model.clone());
        // The run ends in an error wherever the machine stopped; only the disk matters.
        drop(run.play(&script));
        if let Some(driven) = &run.driven {
            model.look(driven);
        }
        let crash = dice.crash();
        story.push(format!("life {life}: {script:?}, {faults:?}, {crash:?}"));
        // Mode `os` guarantees nothing after a power loss, nor does a disk that loses syncs.
        let is_lossy = !matches!(crash, Crash::Killed) || faults.failing_sync.is_some();
        may_lose_tail |= config.durability == Durability::Os && is_lossy;
        disk = run.disk.after(crash);
        outlive(
            &model.fork(),
            &disk.after(Crash::Killed),
            &config,
            may_lose_tail,
        )
        .map_err(|wrong| format!("{}: {wrong}", story.join(";\n  ")))?;
    }
    Ok(lives)
}

/// Splitmix64.
#[derive(Debug)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number in `0..bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    fn config(&mut self) -> LogConfig {
        let wal_file_bytes = self.pick(&[4 << 10, 8 << 10, 10_000, 16 << 10]);
        LogConfig {
            durability: self.pick(&[Durability::Fsync, Durability::Fsync, Durability::Os]),
            wal_file_bytes,
            wal_bytes_max: wal_file_bytes * self.pick(&[2, 3, 5]),
            segment_bytes: self.pick(&[2 << 10, 4 << 10, 16 << 10]),
            tail_bytes_max: self.pick(&[2 << 10, 8 << 10, 32 << 10]),
            commit_bytes_max: self.pick(&[1 << 10, 4 << 10]),
            open_files_max: self.pick(&[1, 2, 8]),
            sync_all_from: self.pick(&[1, 3, 512]),
            ..small("/data")
        }
    }

    fn script(&mut self) -> String {
        let mut words = Vec::new();
        for _ in 0..=self.below(WORDS_MAX) {
            let mut word = self.pick(WORDS).to_owned();
            while word.contains('#') {
                let topic = 1 + self.below(u64::try_from(TOPICS).unwrap());
                word = word.replacen('#', &topic.to_string(), 1);
            }
            words.push(word);
        }
        words.push("p".to_owned());
        words.join(" ")
    }

    /// Returns a fault that occurs while `script` runs.
    fn faults(
        &mut self,
        config: &LogConfig,
        disk: &SimDisk,
        model: &Model,
        script: &str,
    ) -> Faults {
        let none = Faults::default();
        let rehearsal = disk.after(Crash::Killed);
        let used = rehearsal.used_bytes();
        // A script can end early, for example if its log is full.
        drop(Run::on(config.clone(), rehearsal.clone(), model.fork()).play(script));
        match self.below(8) {
            0 => none,
            1 => Faults {
                failing_sync: Some(1 + self.below(rehearsal.syncs())),
                ..none
            },
            2 => Faults {
                capacity: Some(used + self.below(24 << 10)),
                ..none
            },
            _ => Faults {
                crash_at: Some(1 + self.below(rehearsal.steps())),
                ..none
            },
        }
    }

    fn crash(&mut self) -> Crash {
        let seed = self.next();
        match self.below(6) {
            0 => Crash::Killed,
            1 => Crash::Nothing,
            2 | 3 => Crash::Torn { block: 512, seed },
            _ => Crash::Torn { block: 4096, seed },
        }
    }
}
