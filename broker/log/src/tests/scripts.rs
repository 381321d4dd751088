//! Workloads as text, one word per step.
//!
//! `a1` appends to topic 1, `i1` does so with an idempotent producer, `A1` and `I1` with a large
//! batch; `a1+i2` sends both in one request. `p` commits all queued jobs, `o` commits one batch,
//! `f` writes segments, `g` preallocates a WAL file, `c` takes a checkpoint, `d1` deletes topic 1,
//! `s1` and `S1` raise its log start, close to or up to the high watermark. `k` kills the process
//! and starts it again, `x` closes and opens. `*3` after a word repeats it.

use std::sync::Arc;

use super::harness::{Driven, small};
use super::model::{Model, Send};
use super::sim::SimDisk;
use crate::{Durability, LogConfig};

pub(super) const SCRIPTS: &[(&str, &str)] = &[
    ("one append", "a1 p"),
    ("appends in one batch", "a1 a2 i1 i2 a3+i3 p a1 p"),
    ("batches", "i1 p i1 p i1 p i2 p i1+i2+a3 p i1+i2 p a1 p"),
    ("a checkpoint between", "i1 p a2 p c i1 p a2 p"),
    ("segments before a crash", "i1*4 p f i1*4 p f a2 p"),
    ("checkpoints in a row", "i1 p c i1 p c i1 p c"),
    (
        "WAL files fill and are recycled",
        "A1*3 p c A2*3 p c I1*3 p c A3*3 p c I2*3 p A1*2 p",
    ),
    (
        "WAL files fill without room",
        "A1*4 p A2*4 p A1*4 p A2*4 p A3*4 p i1 p",
    ),
    ("segments roll", "I1*6 p f I1*6 p c i1*2 p"),
    (
        "a large batch between small ones",
        "i1 A1 i1 p f i1 A1 p c i1 p",
    ),
    ("deletion", "a1 i2 p d1 p i2 p"),
    (
        "deletion of what is in segments",
        "a1*3 i2 p c d1 p i2 p c i2 p",
    ),
    ("deletion between checkpoints", "a1 p f d1 p c a2 p c a2 p"),
    ("deletion in the batch of an append", "i1 p i1 d1 i1 i2 p c"),
    ("two deletions", "a1 a2 a3 p c d1 d2 p a3 p c a3 p c"),
    ("log start", "i1*5 p s1 p i1 p"),
    ("log start over segments", "I1*8 p c s1 p i1 p c i1 p"),
    ("log start at the end", "I1*4 p f S1 p c i1 p c S1 p i1 p"),
    ("a kill", "i1 p i2 p k i1 p i2 p"),
    (
        "kills and checkpoints",
        "i1*2 p c i1 p k i1 p f k i1 p c k i1 p",
    ),
    ("a kill in a full log", "I1*6 p k I1*6 p k i1 p"),
    ("a close", "i1*3 a2 p x i1 p x i1 a2 p"),
    ("open and close only", "x x k x k"),
    ("kills without a word", "i1 p k k k i1 p k"),
    (
        "a request over four topics",
        "a1+a2+a3+a4 p c i1+i2+i3+i4 p i4+i3+i2+i1 p",
    ),
    ("single batches", "A1 A2 I3 o A1 o i3 o c o i1 o p"),
    (
        "producers at their fifth",
        "i1*6 p c i1*3 p f i1*4 p c i1 p",
    ),
    (
        "flush after flush",
        "i1 p f i1 p f i1 p f c i1 p f k i1 p f",
    ),
    (
        "deletion, kill, checkpoint",
        "a1*2 i2 p f d1 p k i2 p c i2 p",
    ),
    (
        "log start, kill, checkpoint",
        "I1*5 p c S1 i1 p k i1 p s1 p c k i1 p",
    ),
    (
        "preallocated files",
        "g A1*6 p g i2 p g A2*4 p c A1*3 g p k g A1*3 p x g i1 p",
    ),
    (
        "all of it",
        "i1+i2 A3*2 p f I1*3 p c d3 p s1 p k i1 i2*3 p c x I2*4 p c i1 p",
    ),
];

/// A running script.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) driven: Option<Driven>,
    pub(super) disk: SimDisk,
    pub(super) model: Model,
    config: LogConfig,
}

pub(super) fn config(durability: Durability) -> LogConfig {
    LogConfig {
        durability,
        ..small("/data")
    }
}

impl Run {
    pub(super) fn new(durability: Durability, disk: SimDisk) -> Self {
        Self::on(config(durability), disk, Model::default())
    }

    /// Starts a script on the disk that `model` describes.
    pub(super) fn on(config: LogConfig, disk: SimDisk, model: Model) -> Self {
        Self {
            driven: None,
            disk,
            model,
            config,
        }
    }

    /// Runs a script until it ends or the machine stops.
    pub(super) fn play(&mut self, script: &str) -> Result<(), String> {
        self.driven = Some(self.open()?);
        for word in script.split_whitespace() {
            let (word, times) = match word.split_once('*') {
                Some((word, times)) => (word, times.parse().unwrap()),
                None => (word, 1),
            };
            for _ in 0..times {
                self.step(word)?;
            }
            if let Some(driven) = &self.driven {
                self.model.look(driven);
            }
        }
        Ok(())
    }

    /// Opens the log and creates the partitions, as the server does.
    fn open(&self) -> Result<Driven, String> {
        let opened = Driven::open(self.config.clone(), Arc::new(self.disk.clone()));
        let (driven, _) = opened.map_err(|error| error.to_string())?;
        self.model.create_partitions(&driven)?;
        Ok(driven)
    }

    fn step(&mut self, word: &str) -> Result<(), String> {
        let mut driven = self.driven.take().unwrap();
        match word {
            "p" => driven.commit(),
            "o" => drop(driven.commit_next()),
            "g" => driven.spare().map_err(|error| error.to_string())?,
            "f" => driven.flush().map_err(|error| error.to_string())?,
            "c" => driven.checkpoint().map_err(|error| error.to_string())?,
            "x" => {
                driven.close().map_err(|error| error.to_string())?;
                driven = self.open()?;
            }
            "k" => {
                // The machine continues: unsynced writes stay unsynced.
                drop(driven);
                driven = self.open()?;
            }
            _ => self.request(&driven, word),
        }
        self.driven = Some(driven);
        Ok(())
    }

    fn request(&self, driven: &Driven, word: &str) {
        let topic = |text: &str| text[1..].parse::<u128>().unwrap();
        match &word[..1] {
            "d" => self.model.delete(driven, topic(word)),
            "s" => self.model.raise_log_start(driven, topic(word), 3),
            "S" => self.model.raise_log_start(driven, topic(word), 0),
            _ => {
                let send = |part: &str| Send {
                    topic: topic(part),
                    idempotent: part[..1].eq_ignore_ascii_case("i"),
                    bytes: if part.starts_with(char::is_uppercase) {
                        1500
                    } else {
                        120
                    },
                };
                let sends: Vec<Send> = word.split('+').map(send).collect();
                self.model.send(driven, &sends);
            }
        }
    }
}
