//! A log under load: batches of one size, round-robin over all partitions, with a fixed window of
//! batches in flight.

use std::hint::black_box;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use avouch_log::{
    AppendBatch, AppendOutcome, CorruptRange, Durability, Listener, Log, LogConfig, Origin,
};
use avouch_protocol::batch::crc32c;
use avouch_protocol::types::{Offset, PartitionIndex, TopicId, TopicPartition};
use bytes::{BufMut, Bytes};
use uuid::Uuid;

use crate::counting_disk::{Activity, CountingDisk};

/// Default size of a batch.
pub(crate) const BATCH_BYTES: usize = 16 << 10;
/// Size of one fetch.
pub(crate) const FETCH_BYTES: usize = 1 << 20;
/// Bytes of a batch that its length field does not count: base offset and the field itself.
const LENGTH_TO: usize = 12;
/// Start of the part of a batch that its CRC covers.
const CRC_FROM: usize = 21;

/// Time of a commit, from the call until the outcome.
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

/// Partitions, batch size and window of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) partitions: i32,
    pub(crate) batch_bytes: usize,
    /// Batches in flight.
    pub(crate) window: usize,
}

impl Shape {
    /// Returns the shape for throughput: a large window and the default batch size.
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
    pub(crate) activity: Arc<Activity>,
    pub(crate) partitions: Vec<TopicPartition>,
    batch: Bytes,
    next: usize,
    tokens: (SyncSender<()>, Arc<Mutex<Receiver<()>>>),
    commits: Arc<Mutex<Vec<Commit>>>,
}

/// Listener without effect: the benchmark uses append outcomes.
#[derive(Debug)]
struct NoopListener;

impl Listener for NoopListener {
    fn advanced(&self, _partitions: &[TopicPartition]) {}
    fn poisoned(&self, _reason: &str) {}
    fn low_space(&self, _is_low: bool) {}
    fn corrupt_range_found(&self, _tp: TopicPartition, _range: CorruptRange) {}
}

/// Returns the default configuration with a quarter of the WAL and checkpoint sizes, so that every
/// round contains checkpoints.
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
        let disk = CountingDisk::default();
        let activity = Arc::clone(&disk.activity);
        let (log, _) = Log::open(config, Arc::new(disk), Arc::new(NoopListener))?;
        let partition = |index| TopicPartition {
            topic: TopicId(Uuid::from_u128(7)),
            partition: PartitionIndex(index),
        };
        let partitions: Vec<_> = (0..shape.partitions).map(partition).collect();
        // Creating an existing partition of a reopened log has no effect.
        for partition in &partitions {
            log.create_partition(*partition)?;
        }
        let (sender, receiver) = sync_channel(shape.window);
        Ok(Self {
            log,
            activity,
            partitions,
            batch: batch(shape.batch_bytes)?,
            next: 0,
            tokens: (sender, Arc::new(Mutex::new(receiver))),
            commits: Arc::default(),
        })
    }

    /// Appends `bytes` and returns the time until the last batch is acknowledged.
    pub(crate) fn append(&mut self, bytes: usize) -> Result<Duration> {
        let start = now();
        // A rest smaller than a batch is not written.
        let count = bytes / self.batch.len();
        for _ in 0..count {
            self.append_one()?;
        }
        let deadline = start + Duration::from_secs(600);
        while self.log.queued_bytes() > 0 {
            ensure!(now() < deadline, "appends do not complete");
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
        // The channel's capacity is the window: this blocks until an append completes.
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
            // There is one token for each append in flight.
            assert!(tokens.recv().is_ok(), "no token");
        };
        self.log.append(vec![append], Box::new(done));
        Ok(())
    }

    /// Returns the commits since the last call.
    pub(crate) fn commits(&self) -> Vec<Commit> {
        let mut commits = self.commits.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *commits)
    }

    /// Returns the high watermark of each partition.
    pub(crate) fn ends(&self) -> Vec<(TopicPartition, Offset)> {
        let partitions = self.partitions.iter();
        partitions
            .map(|tp| (*tp, self.log.bounds(*tp).unwrap_or_default().high_watermark))
            .collect()
    }

    /// Reads partitions from the given offsets to their ends, one megabyte per read, and copies the
    /// data once, as for a socket. Returns the number of bytes and the elapsed time.
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
                // Every batch has one record, so the number of batches is the offset delta.
                next = next.plus(i64::try_from(read.batches.len())?);
            }
        }
        Ok((bytes, start.elapsed()))
    }
}

/// Returns a batch of one record as a client sends it. The log inspects only its header.
fn batch(bytes: usize) -> Result<Bytes> {
    let mut batch = Vec::with_capacity(bytes);
    // Header fields in order: base offset, length, leader epoch, magic, CRC, attributes, last
    // offset delta, timestamps, producer id and epoch, sequence, count.
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
    // Xorshift: pseudo-random data that a compressing file system cannot shrink.
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
