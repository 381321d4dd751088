//! The log: what is acknowledged stays.
//!
//! Every append goes into one interleaved write-ahead log and is acknowledged, and visible, only
//! once that is durable. Per-partition segments are written behind it. docs/log-format.md draws
//! every byte. Knows no schema, no topic name, no Kafka error code, no clock.

mod api;
mod disk;

pub use api::{
    AppendBatch, AppendDone, AppendOutcome, BatchAt, Bounds, Damage, DuplicateCheck, Durability,
    Guard, Listener, LogConfig, LogError, LogStartDone, OpenError, Origin, ReadError, ReadResult,
    RecoveryReport, Retired,
};
pub use disk::{Disk, DiskFile, OpenMode, RealDisk};

use std::sync::Arc;

use crate::types::{Offset, TimestampMs, TopicId, TopicPartition};
use crate::wire::batch::BatchHeader;

/// A log over one data directory. Cheap to clone; all clones are the same log.
#[derive(Clone, Debug)]
pub struct Log {}

impl Log {
    /// Opens, and recovers, the log in `config.dir`.
    ///
    /// # Errors
    /// When the directory was written by a newer version, is damaged beyond what can be told
    /// apart, or the disk fails.
    pub fn open(
        _config: LogConfig,
        _disk: Arc<dyn Disk>,
        _listener: Arc<dyn Listener>,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        unreachable!("being written")
    }

    /// Makes a partition known; does nothing when it is. Its existence is not durable until data
    /// is: the server calls this for every partition at start.
    ///
    /// # Errors
    /// [`LogError::StorageFailed`] once poisoned.
    pub fn create_partition(&self, _tp: TopicPartition) -> Result<(), LogError> {
        unreachable!("being written")
    }

    /// All partitions, also those only found on disk, sorted.
    #[must_use]
    pub fn known_partitions(&self) -> Vec<TopicPartition> {
        unreachable!("being written")
    }

    /// Deletes a topic's partitions: gone for readers at once, for good when this returns. Blocks.
    ///
    /// # Errors
    /// [`LogError::StorageFailed`] when that could not be made durable.
    pub fn delete_topic(&self, _topic: TopicId) -> Result<(), LogError> {
        unreachable!("being written")
    }

    /// Appends batches in one atomic WAL frame. Never blocks; watch [`Log::queued_bytes`].
    pub fn append(&self, _batches: Vec<AppendBatch>, _done: AppendDone) {
        unreachable!("being written")
    }

    /// Bytes of batches that wait for the writer.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        unreachable!("being written")
    }

    /// The partition's edges, `None` when it is unknown.
    #[must_use]
    pub fn bounds(&self, _tp: TopicPartition) -> Option<Bounds> {
        unreachable!("being written")
    }

    /// Whole batches from the one that contains `from`, up to `max_bytes`, but always at least
    /// one; none when `from` is the high watermark. May read files, see [`Log::is_resident`].
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(
        &self,
        _tp: TopicPartition,
        _from: Offset,
        _max_bytes: usize,
    ) -> Result<ReadResult, ReadError> {
        unreachable!("being written")
    }

    /// Whether [`Log::read`] would answer from memory, so may run on a reactor thread.
    #[must_use]
    pub fn is_resident(&self, _tp: TopicPartition, _from: Offset) -> bool {
        unreachable!("being written")
    }

    /// The first batch whose greatest timestamp is at or above `ts`. May read files.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn offset_for_time(
        &self,
        _tp: TopicPartition,
        _ts: TimestampMs,
    ) -> Result<Option<BatchAt>, ReadError> {
        unreachable!("being written")
    }

    /// The batch with the greatest timestamp, the first of several. May read files.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn offset_of_max_timestamp(
        &self,
        _tp: TopicPartition,
    ) -> Result<Option<BatchAt>, ReadError> {
        unreachable!("being written")
    }

    /// Whether `header` is that of one of its producer's last five batches.
    #[must_use]
    pub fn find_duplicate(&self, _tp: TopicPartition, _header: &BatchHeader) -> DuplicateCheck {
        unreachable!("being written")
    }

    /// Raises the log start offset to `offset` (`DeleteRecords`); a lower one changes nothing.
    pub fn set_log_start(&self, _tp: TopicPartition, _offset: Offset, _done: LogStartDone) {
        unreachable!("being written")
    }

    /// Gives up whole closed segments that are too old or too many. Blocks until durable.
    ///
    /// # Errors
    /// [`LogError::UnknownPartition`], [`LogError::StorageFailed`].
    pub fn enforce_retention(
        &self,
        _tp: TopicPartition,
        _now: TimestampMs,
        _retention_ms: Option<i64>,
        _retention_bytes: Option<i64>,
    ) -> Result<Retired, LogError> {
        unreachable!("being written")
    }

    /// Whether some batch of the partition may carry `tag`; never wrong when it says no.
    #[must_use]
    pub fn may_hold_tag(&self, _tp: TopicPartition, _tag: u32) -> bool {
        unreachable!("being written")
    }

    /// Drains the queue, syncs, takes a last checkpoint and ends the threads. Later appends get
    /// `StorageFailed`; reads go on. Blocks.
    ///
    /// # Errors
    /// [`LogError::StorageFailed`] when the last checkpoint failed; nothing acknowledged is lost.
    pub fn close(&self) -> Result<(), LogError> {
        unreachable!("being written")
    }
}
