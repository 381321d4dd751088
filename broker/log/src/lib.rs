//! Durable partition log: write-ahead log, segments, recovery, retention and compaction.
//!
//! All appends go into one interleaved write-ahead log (WAL) and are acknowledged and visible only
//! when they are durable there. The flusher copies them into per-partition segments later.
//! docs/log-format.md specifies the files. The log knows no schemas, topic names or Kafka error
//! codes, and does not read the clock.

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
mod rebuild;
mod recovery;
mod runtime;
mod segment;
mod snapshot;
mod storage;
#[cfg(test)]
mod tests;
mod wal;

pub use api::{
    AppendBatch, AppendDone, AppendOutcome, BatchAt, Bounds, CorruptRange, DeletedByRetention,
    DuplicateCheck, Durability, FileRangeResult, Guard, HANDLES_PER_OPEN_FILE, LOW_SPACE_BYTES,
    Listener, LogConfig, LogError, LogStartDone, Maintained, OTHER_LOG_HANDLES, OpenError, Origin,
    ProducerInfo, ReadError, ReadResult, RecoveryReport,
};
pub use compaction::Compacted;
pub use disk::page_cache::{is_cached, read_range};
pub use disk::{Disk, DiskFile, FileSystem, OpenMode, RealDisk, SECTOR_BYTES};
pub use partition::settings::{CompactionSettings, PartitionSettings};
pub use rebuild::rebuild_checkpoint;
pub use snapshot::{Snapshot, SnapshotContent, SnapshotFile};

use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};

use avouch_protocol::batch::BatchHeader;
use avouch_protocol::types::{Offset, TimestampMs, TopicId, TopicPartition};
use tracing::warn;

use partition::retention::{RetentionLimits, new_log_start};
use runtime::queue::{ChangeDone, Job};
use runtime::shared::Shared;
use runtime::threads::Threads;
use runtime::wakeup::FlusherTask;
use storage::StorageError;

/// A log over one data directory. Clones share one log.
#[derive(Clone, Debug)]
pub struct Log {
    shared: Arc<Shared>,
    threads: Arc<Threads>,
}

impl Log {
    /// Opens the log in `config.dir` and recovers it.
    ///
    /// # Errors
    /// If a newer version wrote the directory, the checkpoint is missing or corrupt, or the file
    /// system fails.
    pub fn open(
        config: LogConfig,
        disk: Arc<dyn Disk>,
        listener: Arc<dyn Listener>,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let dir = config.dir.clone();
        let opened = recovery::open(config, disk, listener)?;
        if let Some(file_system) = disk::copy_on_write(&dir) {
            let dir = dir.display();
            warn!(
                %dir,
                file_system,
                "a copy-on-write file system does not reserve space for the WAL: if it is full, \
                 the process ends; keep space free, and low-space-bytes at its default"
            );
        }
        let shared = Arc::clone(&opened.shared);
        let report = opened.report.clone();
        let threads = Arc::new(Threads::start(opened));
        Ok((Self { shared, threads }, report))
    }

    /// Creates a partition without data if it is unknown. This is not durable before the first
    /// append: the server calls it for every partition at startup.
    ///
    /// # Errors
    /// [`LogError::StorageFailed`] after storage failed.
    pub fn create_partition(&self, tp: TopicPartition) -> Result<(), LogError> {
        self.still_open()?;
        self.shared.partition_or_new(tp);
        Ok(())
    }

    /// Returns all partitions in order, including those only found on disk.
    #[must_use]
    pub fn known_partitions(&self) -> Vec<TopicPartition> {
        self.shared
            .partitions()
            .iter()
            .map(|partition| partition.tp)
            .collect()
    }

    /// Deletes all partitions of a topic. They disappear for fetches at once; the deletion is
    /// durable when this returns. Blocks.
    ///
    /// # Errors
    /// [`LogError::StorageFailed`] if the deletion could not be made durable.
    pub fn delete_topic(&self, topic: TopicId) -> Result<(), LogError> {
        let (done, result) = sync_channel(1);
        self.start_deletion(topic, Box::new(move |deleted| send_result(&done, deleted)));
        result.recv().unwrap_or_else(|_| Err(closed()))?;
        // The files are removed only after a checkpoint. Request one here: while low disk space
        // rejects producers, no append would cause it.
        self.shared.wake_flusher.raise(FlusherTask::Checkpoint);
        Ok(())
    }

    /// Appends batches in one atomic WAL frame. Does not block; [`Log::queued_bytes`] grows.
    pub fn append(&self, batches: Vec<AppendBatch>, done: AppendDone) {
        self.submit(Job::Append { batches, done });
    }

    /// Returns the bytes of batches that wait for the writer.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.shared.queue.bytes()
    }

    /// Returns the bounds of a partition, `None` if it is unknown.
    #[must_use]
    pub fn bounds(&self, tp: TopicPartition) -> Option<Bounds> {
        self.shared
            .partition(tp)
            .map(|partition| partition.state().bounds())
    }

    /// Returns the bytes of a partition's batches as they were produced, `None` if it is unknown.
    #[must_use]
    pub fn stored_bytes(&self, tp: TopicPartition) -> Option<u64> {
        let partition = self.shared.partition(tp)?;
        let state = partition.state();
        let flushed: u64 = state.segments.iter().map(|segment| segment.bytes).sum();
        let unflushed = state.unflushed().map(|batch| batch.bytes.len() as u64);
        Some(flushed + unflushed.sum::<u64>())
    }

    /// Returns complete batches, starting with the one that contains `from`, up to `max_bytes` but
    /// at least one; none if `from` is the high watermark. Reads files unless
    /// [`Log::is_resident`].
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

    /// Returns a prefix of what [`Log::read`] returns, as a range of a segment file that the kernel
    /// can send without copying. The range has at least 64 KiB. Its batches were written or
    /// verified since the segment was opened, contain no corrupt or compacted offsets, and are in
    /// the page cache. Returns `None` otherwise, on other systems than Linux, and where it would
    /// have to wait for the disk or a lock.
    #[must_use]
    pub fn file_range(
        &self,
        tp: TopicPartition,
        from: Offset,
        max_bytes: usize,
    ) -> Option<FileRangeResult> {
        read::file_range(&self.shared, tp, from, max_bytes)
    }

    /// Returns whether [`Log::read`] needs no file, so that it can run on a reactor thread.
    #[must_use]
    pub fn is_resident(&self, tp: TopicPartition, from: Offset) -> bool {
        self.shared
            .partition(tp)
            .is_none_or(|partition| partition.state().is_resident(from))
    }

    /// Returns the first batch that ends after `from` and whose max timestamp is at least `ts`. May
    /// read files.
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

    /// Returns the first batch with the maximum timestamp. May read files.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn offset_of_max_timestamp(
        &self,
        tp: TopicPartition,
    ) -> Result<Option<BatchAt>, ReadError> {
        read::max_timestamp(&self.shared, tp)
    }

    /// Looks `header` up among the last five batches of its producer.
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

    /// Returns the idempotent producers with durable batches in the partition, sorted by id. `None`
    /// if the partition is unknown.
    #[must_use]
    pub fn producers(&self, tp: TopicPartition) -> Option<Vec<ProducerInfo>> {
        let partition = self.shared.partition(tp)?;
        Some(partition.state().producers.describe())
    }

    /// Returns the offset of the next batch: the high watermark, or more while appends are not yet
    /// durable. `None` if the partition is unknown.
    #[must_use]
    pub fn next_offset(&self, tp: TopicPartition) -> Option<Offset> {
        self.shared
            .partition(tp)
            .map(|partition| partition.state().next_offset)
    }

    /// Returns `producer.id.expiration.ms`: the time after which an idle producer's state expires.
    #[must_use]
    pub fn producer_expiration_ms(&self) -> i64 {
        self.shared.config.producer_expiration_ms
    }

    /// Syncs the WAL, which mode `os` leaves in the page cache. Does not wait.
    pub fn sync(&self) {
        // If the sync fails, the listener receives the failure.
        self.submit(Job::Sync {
            done: Box::new(drop),
        });
    }

    /// Takes a snapshot of all partitions at one point in time, with everything that was visible
    /// when this was called. Blocks; producers wait while up to `tail_bytes_max` are written into
    /// segments.
    ///
    /// # Errors
    /// [`LogError::StorageFailed`] if the disk is full or failed, or the log is closed.
    pub fn snapshot(&self) -> Result<Snapshot, LogError> {
        let (done, result) = sync_channel(1);
        let (shared, flusher) = (Arc::clone(&self.shared), Arc::clone(&self.threads.flusher));
        // The writer calls this after it published all earlier frames, and publishes none until it
        // returns: a committed offset is never beyond the end of the partition it refers to.
        let take = move |synced: Result<(), LogError>| {
            let taken = synced.and_then(|()| {
                let failed = |error: StorageError| LogError::StorageFailed(error.to_string());
                snapshot::take(&shared, &flusher).map_err(failed)
            });
            send_result(&done, taken);
        };
        self.submit(Job::Sync {
            done: Box::new(take),
        });
        result.recv().unwrap_or_else(|_| Err(closed()))
    }

    /// Marks a corrupt range as skipped, so that reads continue after it. Blocks until the change
    /// is durable.
    ///
    /// # Errors
    /// [`LogError::UnknownPartition`], [`LogError::StorageFailed`].
    pub fn skip_corrupt_range(
        &self,
        tp: TopicPartition,
        range: CorruptRange,
    ) -> Result<(), LogError> {
        let (done, result) = sync_channel(1);
        self.submit(Job::SkipCorruptRange {
            target: tp,
            range,
            done: Box::new(move |skipped| send_result(&done, skipped)),
        });
        result.recv().unwrap_or_else(|_| Err(closed()))
    }

    /// Raises the log start offset to `offset` (`DeleteRecords`); a lower offset has no effect.
    pub fn set_log_start(&self, tp: TopicPartition, offset: Offset, done: LogStartDone) {
        self.submit(Job::LogStart {
            target: tp,
            offset,
            done,
        });
    }

    /// Sets the settings that a partition takes from its topic; ignored for an unknown partition.
    pub fn configure(&self, tp: TopicPartition, settings: PartitionSettings) {
        if let Some(partition) = self.shared.partition(tp) {
            partition.state().settings = Some(settings);
        }
    }

    /// Performs the maintenance that is due: expires idle producers, rolls segments, applies
    /// retention, compacts. Call it every few seconds. Blocks; a compaction may take minutes.
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
        // Retention and compaction see segments only. Without this flush the batches of a partition
        // with few writes would stay in memory beyond their retention time.
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
        let deleted = self.enforce_retention(tp, now, ms, bytes)?;
        let compacted = compaction::compact(&self.shared, flusher, &partition, now);
        Ok(Maintained {
            deleted,
            compacted: compacted.map_err(failed)?,
        })
    }

    /// Deletes closed segments that exceed the retention time or size. Blocks until durable.
    ///
    /// # Errors
    /// [`LogError::UnknownPartition`], [`LogError::StorageFailed`].
    pub fn enforce_retention(
        &self,
        tp: TopicPartition,
        now: TimestampMs,
        retention_ms: Option<i64>,
        retention_bytes: Option<i64>,
    ) -> Result<DeletedByRetention, LogError> {
        let partition = self
            .shared
            .partition(tp)
            .ok_or(LogError::UnknownPartition)?;
        let limits = RetentionLimits {
            retention_ms,
            retention_bytes,
        };
        // The segments are copied so that the result counts those of the plan even if the flusher
        // adds more meanwhile.
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
            return Ok(DeletedByRetention {
                segments: 0,
                bytes: 0,
                log_start,
            });
        };
        let (done, result) = sync_channel(1);
        self.set_log_start(
            tp,
            offset,
            Box::new(move |raised| send_result(&done, raised)),
        );
        let log_start = result.recv().unwrap_or_else(|_| Err(closed()))?;
        self.shared.wake_flusher.raise(FlusherTask::Checkpoint);
        // `DeleteRecords` may have raised the log start further than planned; count what it deleted
        // too.
        let gone = before
            .iter()
            .take_while(|segment| segment.next_offset <= log_start);
        let (segments, bytes) = gone.fold((0, 0), |(count, sum), segment| {
            (count + 1, sum + segment.bytes)
        });
        Ok(DeletedByRetention {
            segments,
            bytes,
            log_start,
        })
    }

    /// Returns whether a batch of the partition may have `tag`; false is always correct.
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

    /// Drains the queue, syncs, takes a last checkpoint and stops the threads. Later appends get
    /// `StorageFailed`; reads continue to work. Blocks.
    ///
    /// # Errors
    /// [`LogError::StorageFailed`] if the last checkpoint failed. No acknowledged record is lost.
    pub fn close(&self) -> Result<(), LogError> {
        self.threads.close(&self.shared)
    }

    fn start_deletion(&self, topic: TopicId, done: ChangeDone) {
        self.submit(Job::DeleteTopic { topic, done });
    }

    fn submit(&self, job: Job) {
        if let Err(rejected) = self.shared.queue.push(job) {
            rejected.fail("the log is closed");
        }
    }

    fn still_open(&self) -> Result<(), LogError> {
        match self.shared.poison() {
            Some(reason) => Err(LogError::StorageFailed(reason.to_owned())),
            None => Ok(()),
        }
    }
}

/// Sends a result to the waiting caller.
fn send_result<T>(to: &SyncSender<T>, result: T) {
    // The receiver is gone only if the caller's thread ended.
    drop(to.send(result));
}

fn closed() -> LogError {
    LogError::StorageFailed("the log is closed".to_owned())
}
