//! The log: what is acknowledged stays.
//!
//! Every append goes into one interleaved write-ahead log and is acknowledged, and visible, only
//! once that is durable. Per-partition segments are written behind it. docs/log-format.md draws
//! every byte. Knows no schema, no topic name, no Kafka error code, no clock.

mod api;
mod checkpoint;
mod codec;
mod compaction;
mod disk;
mod failpoints;
pub mod inspect;
mod locks;
mod partition;
mod read;
mod recovery;
mod runtime;
mod segment;
mod storage;
#[cfg(test)]
mod tests;
mod wal;

pub use api::{
    AppendBatch, AppendDone, AppendOutcome, BatchAt, Bounds, Damage, DuplicateCheck, Durability,
    Guard, LOW_SPACE_BYTES, Listener, LogConfig, LogError, LogStartDone, Maintained, OpenError,
    Origin, ReadError, ReadResult, RecoveryReport, Retired, Stretched,
};
pub use compaction::Compacted;
pub use disk::page_cache::{is_cached, read_range};
pub use disk::{Disk, DiskFile, FileSystem, OpenMode, RealDisk, SECTOR_BYTES};
pub use partition::settings::{CompactionSettings, PartitionSettings};

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use avouch_protocol::batch::BatchHeader;
use avouch_protocol::types::{Offset, TimestampMs, TopicId, TopicPartition};

use partition::retention::{RetentionLimits, new_log_start};
use runtime::queue::{ChangeDone, Job};
use runtime::shared::Shared;
use runtime::threads::Threads;
use runtime::wakeup::Wish;
use storage::StorageError;

/// A log over one data directory. Cheap to clone; all clones are the same log.
#[derive(Clone, Debug)]
pub struct Log {
    shared: Arc<Shared>,
    threads: Arc<Threads>,
}

impl Log {
    /// Opens, and recovers, the log in `config.dir`.
    ///
    /// # Errors
    /// When the directory was written by a newer version, is damaged beyond what can be told
    /// apart, or the disk fails.
    pub fn open(
        config: LogConfig,
        disk: Arc<dyn Disk>,
        listener: Arc<dyn Listener>,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let opened = recovery::open(config, disk, listener)?;
        let shared = Arc::clone(&opened.shared);
        let report = opened.report.clone();
        let threads = Arc::new(Threads::start(opened));
        Ok((Self { shared, threads }, report))
    }

    /// Makes a partition known; does nothing when it is. Its existence is not durable until data
    /// is: the server calls this for every partition at start.
    ///
    /// # Errors
    /// [`LogError::StorageFailed`] once poisoned.
    pub fn create_partition(&self, tp: TopicPartition) -> Result<(), LogError> {
        self.still_open()?;
        self.shared.partition_or_new(tp);
        Ok(())
    }

    /// All partitions, also those only found on disk, sorted.
    #[must_use]
    pub fn known_partitions(&self) -> Vec<TopicPartition> {
        self.shared
            .partitions()
            .iter()
            .map(|partition| partition.tp)
            .collect()
    }

    /// Deletes a topic's partitions: gone for readers at once, for good when this returns. Blocks.
    ///
    /// # Errors
    /// [`LogError::StorageFailed`] when that could not be made durable.
    pub fn delete_topic(&self, topic: TopicId) -> Result<(), LogError> {
        let (done, result) = sync_channel(1);
        self.start_deletion(topic, Box::new(move |deleted| answer(&done, deleted)));
        result.recv().unwrap_or_else(|_| Err(closed()))?;
        // Only behind a checkpoint do the files go, and with producers refused none would come.
        self.shared.wake_flusher.raise(Wish::Checkpoint);
        Ok(())
    }

    /// Appends batches in one atomic WAL frame. Never blocks; watch [`Log::queued_bytes`].
    pub fn append(&self, batches: Vec<AppendBatch>, done: AppendDone) {
        self.submit(Job::Append { batches, done });
    }

    /// Bytes of batches that wait for the writer.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.shared.queue.bytes()
    }

    /// The partition's edges, `None` when it is unknown.
    #[must_use]
    pub fn bounds(&self, tp: TopicPartition) -> Option<Bounds> {
        self.shared
            .partition(tp)
            .map(|partition| partition.state().bounds())
    }

    /// Bytes of the partition's readable batches, as they were produced; `None` when it is unknown.
    #[must_use]
    pub fn stored_bytes(&self, tp: TopicPartition) -> Option<u64> {
        let partition = self.shared.partition(tp)?;
        let state = partition.state();
        let flushed: u64 = state.segments.iter().map(|segment| segment.bytes).sum();
        let unflushed = state.unflushed().map(|batch| batch.bytes.len() as u64);
        Some(flushed + unflushed.sum::<u64>())
    }

    /// Whole batches from the one that contains `from`, up to `max_bytes`, but always at least
    /// one; none when `from` is the high watermark. May read files, see [`Log::is_resident`].
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(
        &self,
        tp: TopicPartition,
        from: Offset,
        max_bytes: usize,
    ) -> Result<ReadResult, ReadError> {
        read::read(&self.shared, tp, from, max_bytes)
    }

    /// What [`Log::read`] would give, or less, as a stretch of a segment's file that can be sent
    /// without being read: batches of at least 64 KiB that were written or read since the segment
    /// was opened, so that their CRCs are known to be right, of which nothing is damaged or taken
    /// out by compaction, and which the page cache holds; on the machine's own disk, on Linux.
    /// Never waits, neither for the disk nor for a lock: `None` wherever that may be needed.
    #[must_use]
    pub fn stretch(&self, tp: TopicPartition, from: Offset, max_bytes: usize) -> Option<Stretched> {
        read::stretch(&self.shared, tp, from, max_bytes)
    }

    /// Whether [`Log::read`] would answer from memory, so may run on a reactor thread.
    #[must_use]
    pub fn is_resident(&self, tp: TopicPartition, from: Offset) -> bool {
        self.shared
            .partition(tp)
            .is_none_or(|partition| partition.state().is_resident(from))
    }

    /// The first batch that ends behind `from` and whose greatest timestamp is at or above `ts`.
    /// May read files.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn offset_for_time(
        &self,
        tp: TopicPartition,
        from: Offset,
        ts: TimestampMs,
    ) -> Result<Option<BatchAt>, ReadError> {
        read::first_at_time(&self.shared, tp, from, ts)
    }

    /// The batch with the greatest timestamp, the first of several. May read files.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn offset_of_max_timestamp(
        &self,
        tp: TopicPartition,
    ) -> Result<Option<BatchAt>, ReadError> {
        read::max_timestamp(&self.shared, tp)
    }

    /// Whether `header` is that of one of its producer's last five batches.
    #[must_use]
    pub fn find_duplicate(&self, tp: TopicPartition, header: &BatchHeader) -> DuplicateCheck {
        let partition = self.shared.partition(tp);
        match partition.and_then(|partition| partition.state().producers.find_duplicate(header)) {
            Some((base_offset, durable)) => DuplicateCheck::Duplicate {
                base_offset,
                durable,
            },
            None => DuplicateCheck::None,
        }
    }

    /// The offset that the next batch gets: the high watermark, or above it while something that
    /// was decided is not durable yet. `None` when the partition is unknown.
    #[must_use]
    pub fn next_offset(&self, tp: TopicPartition) -> Option<Offset> {
        self.shared
            .partition(tp)
            .map(|partition| partition.state().next_offset)
    }

    /// How long a producer that sends nothing is remembered (`producer.id.expiration.ms`).
    #[must_use]
    pub fn producer_expiration_ms(&self) -> i64 {
        self.shared.config.producer_expiration_ms
    }

    /// Makes durable what mode `os` has only given to the operating system. Does not wait.
    pub fn sync(&self) {
        // Should it fail, the log is poisoned, which its listener hears of.
        self.submit(Job::Sync {
            done: Box::new(drop),
        });
    }

    /// Makes readers pass over lost offsets, for good, instead of telling them of the damage.
    /// Blocks until that is durable.
    ///
    /// # Errors
    /// [`LogError::UnknownPartition`], [`LogError::StorageFailed`].
    pub fn skip_damage(&self, tp: TopicPartition, damage: Damage) -> Result<(), LogError> {
        let (done, result) = sync_channel(1);
        self.submit(Job::SkipDamage {
            target: tp,
            damage,
            done: Box::new(move |skipped| answer(&done, skipped)),
        });
        result.recv().unwrap_or_else(|_| Err(closed()))
    }

    /// Raises the log start offset to `offset` (`DeleteRecords`); a lower one changes nothing.
    pub fn set_log_start(&self, tp: TopicPartition, offset: Offset, done: LogStartDone) {
        self.submit(Job::LogStart {
            target: tp,
            offset,
            done,
        });
    }

    /// Says what the partition's topic says about its data; nothing happens to an unknown one.
    pub fn configure(&self, tp: TopicPartition, settings: PartitionSettings) {
        if let Some(partition) = self.shared.partition(tp) {
            partition.state().settings = Some(settings);
        }
    }

    /// Does what is due: forgets idle producers, gives up what is too old or too much, compacts.
    /// To be called every few seconds. Blocks; a compaction may take minutes.
    ///
    /// # Errors
    /// [`LogError::UnknownPartition`], [`LogError::StorageFailed`].
    pub fn maintain(&self, tp: TopicPartition, now: TimestampMs) -> Result<Maintained, LogError> {
        let partition = self
            .shared
            .partition(tp)
            .ok_or(LogError::UnknownPartition)?;
        let failed = |error: StorageError| LogError::StorageFailed(error.to_string());
        let flusher = &self.threads.flusher;
        // What few write to would else stay in memory, out of reach for what follows.
        flusher.flush_one(&partition).map_err(failed)?;
        let (settings, is_expired) = {
            let mut state = partition.state();
            let expiration_ms = self.shared.config.producer_expiration_ms;
            state.producers.expire(now, expiration_ms);
            let settings = state.settings_or(self.shared.config.segment_bytes);
            let newest = state.unflushed().map(|batch| batch.max_timestamp).max();
            let ms = settings.retention_ms;
            (
                settings,
                partition::roll::is_expired(&state.segments, newest, now, ms),
            )
        };
        if is_expired {
            flusher.roll(&partition).map_err(failed)?;
        }
        let (ms, bytes) = (settings.retention_ms, settings.retention_bytes);
        let retired = self.enforce_retention(tp, now, ms, bytes)?;
        let compacted = compaction::compact(&self.shared, flusher, &partition, now);
        Ok(Maintained {
            retired,
            compacted: compacted.map_err(failed)?,
        })
    }

    /// Gives up whole closed segments that are too old or too many. Blocks until durable.
    ///
    /// # Errors
    /// [`LogError::UnknownPartition`], [`LogError::StorageFailed`].
    pub fn enforce_retention(
        &self,
        tp: TopicPartition,
        now: TimestampMs,
        retention_ms: Option<i64>,
        retention_bytes: Option<i64>,
    ) -> Result<Retired, LogError> {
        let partition = self
            .shared
            .partition(tp)
            .ok_or(LogError::UnknownPartition)?;
        let limits = RetentionLimits {
            retention_ms,
            retention_bytes,
        };
        let (planned, before) = {
            let state = partition.state();
            let unflushed = state
                .unflushed()
                .map(|batch| batch.bytes.len() as u64)
                .sum();
            let planned = new_log_start(&state.segments, unflushed, now, limits);
            (planned, state.segments.clone())
        };
        let Some(offset) = planned else {
            let log_start = partition.state().log_start;
            return Ok(Retired {
                segments: 0,
                bytes: 0,
                log_start,
            });
        };
        let (done, result) = sync_channel(1);
        self.set_log_start(tp, offset, Box::new(move |raised| answer(&done, raised)));
        let log_start = result.recv().unwrap_or_else(|_| Err(closed()))?;
        self.shared.wake_flusher.raise(Wish::Checkpoint);
        let gone = before
            .iter()
            .take_while(|segment| segment.next_offset <= log_start);
        let (segments, bytes) = gone.fold((0, 0), |(count, sum), segment| {
            (count + 1, sum + segment.bytes)
        });
        Ok(Retired {
            segments,
            bytes,
            log_start,
        })
    }

    /// Whether some batch of the partition may carry `tag`; never wrong when it says no.
    #[must_use]
    pub fn may_hold_tag(&self, tp: TopicPartition, tag: u32) -> bool {
        self.shared.partition(tp).is_some_and(|partition| {
            let state = partition.state();
            state
                .segments
                .iter()
                .any(|segment| segment.tags.may_hold(tag))
                || state.unflushed().any(|batch| batch.tag == tag)
        })
    }

    /// Drains the queue, syncs, takes a last checkpoint and ends the threads. Later appends get
    /// `StorageFailed`; reads go on. Blocks.
    ///
    /// # Errors
    /// [`LogError::StorageFailed`] when the last checkpoint failed; nothing acknowledged is lost.
    pub fn close(&self) -> Result<(), LogError> {
        self.threads.close(&self.shared)
    }

    fn start_deletion(&self, topic: TopicId, done: ChangeDone) {
        self.submit(Job::DeleteTopic { topic, done });
    }

    fn submit(&self, job: Job) {
        if let Err(refused) = self.shared.queue.push(job) {
            refused.fail("the log is closed");
        }
    }

    fn still_open(&self) -> Result<(), LogError> {
        match self.shared.poison() {
            Some(reason) => Err(LogError::StorageFailed(reason.to_owned())),
            None => Ok(()),
        }
    }
}

/// Hands a result to whoever waits for it.
fn answer<T>(to: &SyncSender<T>, result: T) {
    // Nobody waits any more: the caller's thread is gone, and its answer with it.
    drop(to.send(result));
}

fn closed() -> LogError {
    LogError::StorageFailed("the log is closed".to_owned())
}
