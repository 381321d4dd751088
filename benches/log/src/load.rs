//! A log under load: batches of 16 KiB, one after the other over all partitions, with as many
//! unanswered at a time as fit a window.

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use avouch_broker::log::{
    AppendBatch, AppendOutcome, Damage, Durability, Listener, Log, LogConfig, Origin,
    RecoveryReport,
};
use avouch_broker::types::{Offset, PartitionIndex, TopicId, TopicPartition};
use avouch_broker::wire::batch::crc32c;
use bytes::{BufMut, Bytes};
use uuid::Uuid;

use crate::counted::{Counted, Seen};

pub(crate) const BATCH_BYTES: usize = 16 << 10;
/// What a batch says of its length: the bytes behind that field.
const LENGTH: u32 = (16 << 10) - 12;
/// Where the part of a batch begins that its CRC covers.
const CRC_FROM: usize = 21;

/// How long a commit took, and whether a checkpoint was being taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit {
    pub(crate) took: Duration,
    pub(crate) in_checkpoint: bool,
}

#[derive(Debug)]
pub(crate) struct Load {
    pub(crate) log: Log,
    pub(crate) seen: Arc<Seen>,
    pub(crate) partitions: Vec<TopicPartition>,
    batch: Bytes,
    next: usize,
    tokens: (SyncSender<()>, Arc<Mutex<Receiver<()>>>),
    commits: Arc<Mutex<Vec<Commit>>>,
}

/// Hears nothing: a bench looks at outcomes.
#[derive(Debug)]
struct Deaf;

impl Listener for Deaf {
    fn advanced(&self, _partitions: &[TopicPartition]) {}
    fn poisoned(&self, _reason: &str) {}
    fn low_space(&self, _is_low: bool) {}
    fn damaged(&self, _tp: TopicPartition, _damage: Damage) {}
}

/// Defaults, but smaller by four where a round would else see no checkpoint.
pub(crate) fn config(dir: &Path, durability: Durability) -> LogConfig {
    let defaults = LogConfig::new(dir);
    LogConfig {
        durability,
        wal_file_bytes: defaults.wal_file_bytes / 4,
        wal_bytes_max: defaults.wal_bytes_max / 4,
        checkpoint_bytes: defaults.checkpoint_bytes / 4,
        ..defaults
    }
}

impl Load {
    pub(crate) fn open(
        config: LogConfig,
        partitions: i32,
        window: usize,
    ) -> Result<(Self, RecoveryReport)> {
        let disk = Counted::default();
        let seen = Arc::clone(&disk.seen);
        let (log, report) = Log::open(config, Arc::new(disk), Arc::new(Deaf))?;
        let partition = |index| TopicPartition {
            topic: TopicId(Uuid::from_u128(7)),
            partition: PartitionIndex(index),
        };
        let partitions: Vec<_> = (0..partitions).map(partition).collect();
        for partition in &partitions {
            log.create_partition(*partition)?;
        }
        let (sender, receiver) = sync_channel(window);
        let load = Self {
            log,
            seen,
            partitions,
            batch: batch(),
            next: 0,
            tokens: (sender, Arc::new(Mutex::new(receiver))),
            commits: Arc::default(),
        };
        Ok((load, report))
    }

    /// Appends so many bytes; how long that took until the last was acknowledged.
    pub(crate) fn append(&mut self, bytes: usize) -> Result<Duration> {
        let start = now();
        let count = bytes / BATCH_BYTES;
        for _ in 0..count {
            self.append_one()?;
        }
        let deadline = start + Duration::from_secs(600);
        while self.log.queued_bytes() > 0 {
            ensure!(now() < deadline, "appends are not answered");
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(start.elapsed())
    }

    fn append_one(&mut self) -> Result<()> {
        let target = self.partitions[self.next % self.partitions.len()];
        self.next += 1;
        let append = AppendBatch {
            target,
            batch: self.batch.clone(),
            tag: 0,
            append_time: None,
            guard: None,
            origin: Origin::Client,
        };
        self.tokens.0.send(())?;
        let (started, tokens) = (now(), Arc::clone(&self.tokens.1));
        let (seen, commits) = (Arc::clone(&self.seen), Arc::clone(&self.commits));
        let before = seen.in_checkpoint();
        let done = move |outcomes: Vec<AppendOutcome>| {
            let is_done = matches!(outcomes.as_slice(), [AppendOutcome::Appended { .. }]);
            assert!(is_done, "{outcomes:?}");
            let commit = Commit {
                took: started.elapsed(),
                in_checkpoint: before || seen.in_checkpoint(),
            };
            let mut commits = commits.lock().unwrap_or_else(PoisonError::into_inner);
            commits.push(commit);
            let tokens = tokens.lock().unwrap_or_else(PoisonError::into_inner);
            // One token is there for each append that is not answered.
            assert!(tokens.recv().is_ok(), "no token");
        };
        self.log.append(vec![append], Box::new(done));
        Ok(())
    }

    /// Commits since the last call.
    pub(crate) fn commits(&self) -> Vec<Commit> {
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *commits)
    }

    /// Reads the first partition from its start, a megabyte at a time; bytes and time.
    pub(crate) fn fetch(&self) -> Result<(usize, Duration)> {
        let target = self.partitions[0];
        let start = now();
        let (mut next, mut bytes) = (Offset(0), 0);
        loop {
            let read = self.log.read(target, next, 1 << 20)?;
            if read.batches.is_empty() {
                return Ok((bytes, start.elapsed()));
            }
            bytes += read.batches.iter().map(Bytes::len).sum::<usize>();
            // A batch holds one record.
            next = next.plus(i64::try_from(read.batches.len())?);
        }
    }
}

/// One batch of one record, as a client would send it; the log looks at its header only.
fn batch() -> Bytes {
    let mut batch = Vec::with_capacity(BATCH_BYTES);
    batch.put_i64(0);
    batch.put_u32(LENGTH);
    batch.put_i32(-1);
    batch.put_i8(2);
    batch.put_u32(0);
    batch.put_i16(0);
    batch.put_i32(0);
    batch.put_i64(1_000);
    batch.put_i64(1_000);
    batch.put_i64(-1);
    batch.put_i16(-1);
    batch.put_i32(-1);
    batch.put_i32(1);
    // Xorshift: nothing below us may compress it away.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    while batch.len() < BATCH_BYTES {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        batch.put_u8(state.to_be_bytes()[0]);
    }
    let crc = crc32c(&batch[CRC_FROM..]);
    batch[CRC_FROM - 4..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
    Bytes::from(batch)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench is the shell of its clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
