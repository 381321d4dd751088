//! A log under load: batches of one size, one after the other over all partitions, with as many
//! unanswered at a time as fit a window.

use std::hint::black_box;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use avouch_broker::log::{
    AppendBatch, AppendOutcome, Damage, Durability, Listener, Log, LogConfig, Origin,
};
use avouch_broker::types::{Offset, PartitionIndex, TopicId, TopicPartition};
use avouch_broker::wire::batch::crc32c;
use bytes::{BufMut, Bytes};
use uuid::Uuid;

use crate::counted::{Counted, Seen};

/// Of a batch, unless a bench asks for others.
pub(crate) const BATCH_BYTES: usize = 16 << 10;
/// That one fetch takes.
pub(crate) const FETCH_BYTES: usize = 1 << 20;
/// Bytes of a batch up to the field that says how many follow, that field included.
const LENGTH_TO: usize = 12;
/// Where the part of a batch begins that its CRC covers.
const CRC_FROM: usize = 21;

/// From the call until the outcome.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Commit {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

impl Commit {
    pub(crate) fn took(&self) -> Duration {
        self.to - self.from
    }
}

/// How much is appended at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) partitions: i32,
    pub(crate) batch_bytes: usize,
    /// Batches unanswered at a time.
    pub(crate) window: usize,
}

impl Shape {
    /// As much as goes, in batches of the usual size.
    pub(crate) fn of(partitions: i32) -> Self {
        Self {
            partitions,
            batch_bytes: BATCH_BYTES,
            window: 256,
        }
    }
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
    pub(crate) fn open(config: LogConfig, shape: Shape) -> Result<Self> {
        let disk = Counted::default();
        let seen = Arc::clone(&disk.seen);
        let (log, _) = Log::open(config, Arc::new(disk), Arc::new(Deaf))?;
        let partition = |index| TopicPartition {
            topic: TopicId(Uuid::from_u128(7)),
            partition: PartitionIndex(index),
        };
        let partitions: Vec<_> = (0..shape.partitions).map(partition).collect();
        for partition in &partitions {
            log.create_partition(*partition)?;
        }
        let (sender, receiver) = sync_channel(shape.window);
        Ok(Self {
            log,
            seen,
            partitions,
            batch: batch(shape.batch_bytes)?,
            next: 0,
            tokens: (sender, Arc::new(Mutex::new(receiver))),
            commits: Arc::default(),
        })
    }

    /// Appends so many bytes; how long that took until the last was acknowledged.
    pub(crate) fn append(&mut self, bytes: usize) -> Result<Duration> {
        let start = now();
        let count = bytes / self.batch.len();
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
        let (from, tokens) = (now(), Arc::clone(&self.tokens.1));
        let commits = Arc::clone(&self.commits);
        let done = move |outcomes: Vec<AppendOutcome>| {
            let is_done = matches!(outcomes.as_slice(), [AppendOutcome::Appended { .. }]);
            assert!(is_done, "{outcomes:?}");
            let commit = Commit { from, to: now() };
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

    /// Where each partition ends now.
    pub(crate) fn ends(&self) -> Vec<(TopicPartition, Offset)> {
        let partitions = self.partitions.iter();
        partitions
            .map(|tp| (*tp, self.log.bounds(*tp).unwrap_or_default().high_watermark))
            .collect()
    }

    /// Reads partitions from these offsets to their ends, a megabyte at a time, and copies what it
    /// reads, as to a socket; bytes and time.
    pub(crate) fn fetch(&self, from: &[(TopicPartition, Offset)]) -> Result<(usize, Duration)> {
        let mut socket = Vec::with_capacity(2 * FETCH_BYTES);
        let start = now();
        let mut bytes = 0;
        for (partition, from) in from {
            let mut next = *from;
            loop {
                let read = self.log.read(*partition, next, FETCH_BYTES)?;
                if read.batches.is_empty() {
                    break;
                }
                socket.clear();
                for batch in &read.batches {
                    socket.extend_from_slice(batch);
                }
                bytes += black_box(&socket).len();
                // A batch holds one record.
                next = next.plus(i64::try_from(read.batches.len())?);
            }
        }
        Ok((bytes, start.elapsed()))
    }
}

/// One batch of one record, as a client would send it; the log looks at its header only.
fn batch(bytes: usize) -> Result<Bytes> {
    let mut batch = Vec::with_capacity(bytes);
    batch.put_i64(0);
    batch.put_u32(u32::try_from(bytes - LENGTH_TO)?);
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
    while batch.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        batch.put_u8(state.to_be_bytes()[0]);
    }
    let crc = crc32c(&batch[CRC_FROM..]);
    batch[CRC_FROM - 4..CRC_FROM].copy_from_slice(&crc.to_be_bytes());
    Ok(Bytes::from(batch))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a bench is the shell of its clock"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
