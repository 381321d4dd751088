//! Values that callers of the log pass and receive.
//!
//! An outcome is delivered only after its batch is as durable as the configured mode requires, so
//! the offsets in it are final. Kafka error codes are assigned by the handlers.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use avouch_protocol::chunk::FileRange;
use avouch_protocol::types::{
    LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs, TopicPartition,
};
use bytes::Bytes;
use thiserror::Error;

use crate::compaction::Compacted;

/// The event after which an append is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Its WAL frame was synced: survives a power loss.
    Fsync,
    /// Its WAL frame was written to the page cache: survives a process crash only.
    Os,
}

/// Configuration of a log. [`LogConfig::new`] sets the defaults.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Data directory; created if missing.
    pub dir: PathBuf,
    /// The event after which an append is acknowledged. Default `Fsync`.
    pub durability: Durability,
    /// Size of one WAL file. Default 64 MiB. Larger files are fewer and recycled later.
    pub wal_file_bytes: u64,
    /// Size of all WAL files together. Default 1 GiB. A higher limit lets producers run further
    /// ahead of slow segment writes, and costs disk space and restart time.
    pub wal_bytes_max: u64,
    /// WAL bytes between two checkpoints; bounds the replay of a restart. Default 256 MiB.
    pub checkpoint_bytes: u64,
    /// Size at which a segment is closed. Default 1 GiB, at most 2 GiB.
    pub segment_bytes: u64,
    /// Newest batches kept in memory, over all partitions. Default 32 MiB. The flusher writes
    /// segments when half of it is in no segment.
    pub tail_bytes_max: usize,
    /// Bytes of batches committed by one write and sync. Default 8 MiB.
    pub commit_bytes_max: usize,
    /// Segment files held open for reading. Default 512; each costs up to [`HANDLES_PER_OPEN_FILE`]
    /// file handles.
    pub open_files_max: usize,
    /// Number of files and directories from which a checkpoint syncs the whole file system in one
    /// call. Default 512. A lower number means fewer syncs, which include other programs' data.
    pub sync_all_from: usize,
    /// Memory for the keys that one compaction compares, in bytes. Default 64 MiB. More memory
    /// means fewer passes over partitions with many keys.
    pub compaction_bytes_max: usize,
    /// `producer.id.expiration.ms`: time after which the state of an idle producer is removed.
    /// Default one day, as in Kafka.
    pub producer_expiration_ms: i64,
    /// Producers with state, counted once per partition they write to; the least recently used are
    /// evicted above it. Default 100,000; each costs about 400 bytes.
    pub producers_max: usize,
    /// Free disk space below which appends of clients fail. Default 512 MiB; 0 disables the check.
    /// The reserve keeps deletion, retention, offset commits and checkpoints working.
    pub low_space_bytes: u64,
    /// Whether a log must exist, because other data of the node refers to it. Default false.
    pub must_exist: bool,
    /// Opens a log with missing or cut files, whose records are lost. Default false.
    pub accept_loss: bool,
}

/// File handles that a log can hold for each of [`LogConfig::open_files_max`]: the cached file, 16
/// that were written since the last checkpoint, 16 that a checkpoint syncs, and 2 evicted ones that
/// responses still send.
pub const HANDLES_PER_OPEN_FILE: usize = 1 + 2 * UNSYNCED_FILES_FACTOR + EVICTED_FILES_FACTOR;

/// File handles that a log can hold in addition: 6 of WAL files, 10 of directories, 8 of the
/// checkpoint, compaction and indexes, and 64 of segments that requests read at the same time.
pub const OTHER_LOG_HANDLES: usize = 6 + 10 + 8 + 64;

/// Up to this times `open_files_max` segments stay open between two checkpoints. Above it segments
/// are synced early, which is slow.
pub(crate) const UNSYNCED_FILES_FACTOR: usize = 16;
/// Up to this times `open_files_max` evicted segments stay open in responses.
pub(crate) const EVICTED_FILES_FACTOR: usize = 2;

/// Default of [`LogConfig::low_space_bytes`].
pub const LOW_SPACE_BYTES: u64 = 512 << 20;

impl LogConfig {
    /// Returns the default configuration for data directory `dir`.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            durability: Durability::Fsync,
            wal_file_bytes: 64 << 20,
            wal_bytes_max: 1 << 30,
            checkpoint_bytes: 256 << 20,
            segment_bytes: 1 << 30,
            tail_bytes_max: 32 << 20,
            commit_bytes_max: 8 << 20,
            open_files_max: 512,
            sync_all_from: 512,
            compaction_bytes_max: 64 << 20,
            producer_expiration_ms: 24 * 3_600_000,
            producers_max: 100_000,
            low_space_bytes: LOW_SPACE_BYTES,
            must_exist: false,
            accept_loss: false,
        }
    }
}

/// Receives events of the log. Called on log threads: must return without blocking and must not
/// call blocking methods of the log.
pub trait Listener: Send + Sync {
    /// Reports partitions whose high watermark moved. Fetches see the new records already; the
    /// outcomes of the appends are delivered right after this call.
    fn advanced(&self, partitions: &[TopicPartition]);
    /// Reports that storage failed permanently: every pending and later append gets
    /// `StorageFailed`. The process should exit with an error; the next start recovers.
    fn poisoned(&self, reason: &str);
    /// Reports that the free disk space fell below the reserve, or is above it again.
    fn low_space(&self, is_low: bool);
    /// Reports that segments or a checkpoint could not be written, for lack of space or of file
    /// handles. Nothing is lost, and the write is repeated. Does nothing by default.
    fn write_postponed(&self, reason: &str) {
        let _ignored = reason;
    }
    /// Reports a corrupt range, found at startup or by a read. Each range is reported once.
    fn corrupt_range_found(&self, tp: TopicPartition, range: CorruptRange);
}

/// The source of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer: its sequence numbers are checked and stored.
    Client,
    /// A coordinator of the broker: no sequence check and no producer state.
    Coordinator,
}

/// Conditions of an append: numbers that must still have the value they had when the append was
/// decided, such as the revision of a policy.
#[derive(Clone, Debug)]
pub struct Guard {
    // The usual conditions, a policy and one schema, need no allocation.
    first: Condition,
    second: Option<Condition>,
    more: Vec<Condition>,
}

#[derive(Clone, Debug)]
struct Condition {
    current: Arc<AtomicU64>,
    expected: u64,
}

impl Guard {
    /// Creates a guard with one condition: `current` must equal `expected`.
    #[must_use]
    pub fn new(current: Arc<AtomicU64>, expected: u64) -> Self {
        Self {
            first: Condition { current, expected },
            second: None,
            more: Vec::new(),
        }
    }

    /// Adds a condition.
    pub fn add(&mut self, current: Arc<AtomicU64>, expected: u64) {
        let condition = Condition { current, expected };
        match self.second {
            None => self.second = Some(condition),
            Some(_) => self.more.push(condition),
        }
    }

    /// Returns whether all numbers have their expected values.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.first.holds()
            && self.second.iter().all(Condition::holds)
            && self.more.iter().all(Condition::holds)
    }
}

impl Condition {
    fn holds(&self) -> bool {
        self.current.load(Ordering::Acquire) == self.expected
    }
}

/// A batch to append.
#[derive(Clone, Debug)]
pub struct AppendBatch {
    /// Partition to append to.
    pub target: TopicPartition,
    /// Exactly one record batch of magic 2 whose CRC was verified.
    pub batch: Bytes,
    /// Opaque number; each segment records the tags of its batches.
    pub tag: u32,
    /// If set, written into the batch as the timestamp of every record (`LogAppendTime`).
    pub append_time: Option<TimestampMs>,
    /// Checked when the offset is assigned.
    pub guard: Option<Guard>,
    /// Determines whether producer sequences are checked.
    pub origin: Origin,
}

/// The outcome of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// The batch is appended and durable.
    Appended {
        /// Offset of its first record.
        base_offset: Offset,
        /// The partition's log start offset.
        log_start: Offset,
        /// The append time written into the batch, if any.
        append_time: Option<TimestampMs>,
    },
    /// The batch repeats one of its producer's last five batches, which is durable.
    Duplicate {
        /// Base offset of the original.
        base_offset: Offset,
        /// The partition's log start offset.
        log_start: Offset,
    },
    /// The batch skips a sequence number of its producer.
    OutOfOrderSequence,
    /// The sequence number is older than the producer's last five batches.
    DuplicateSequence,
    /// The producer epoch is older than the newest one of this producer.
    InvalidProducerEpoch,
    /// The partition is unknown, or its topic was deleted.
    UnknownPartition,
    /// A condition of the guard no longer holds; the batch was not appended.
    GuardChanged,
    /// The bytes are not exactly one batch of magic 2, which is an error of the caller.
    Malformed,
    /// The disk is full or failed, or the log is closed. After a full disk the batch is not
    /// stored; after a failure this is unknown.
    StorageFailed,
}

/// Receives one outcome per batch, in the order of the batches. Called on the writer thread in
/// append order; must return without blocking.
pub type AppendDone = Box<dyn FnOnce(Vec<AppendOutcome>) + Send>;

/// Receives the log start offset when its change is durable.
pub type LogStartDone = Box<dyn FnOnce(Result<Offset, LogError>) + Send>;

/// The bounds of a partition: `log_start <= last_stable <= high_watermark`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// First offset that can be fetched.
    pub log_start: Offset,
    /// Offset after the last durable, and therefore visible, record.
    pub high_watermark: Offset,
    /// First offset of an open transaction. The log does not track transactions, so this equals
    /// the high watermark.
    pub last_stable: Offset,
    /// Leader epoch of batches appended now.
    pub leader_epoch: LeaderEpoch,
}

/// Complete batches of a partition.
#[derive(Clone, Debug)]
pub struct ReadResult {
    /// The batch that contains the requested offset, then the following ones.
    pub batches: Vec<Bytes>,
    /// Bounds of the partition when the read started.
    pub bounds: Bounds,
}

/// Complete batches that stay in their segment file.
#[derive(Clone, Debug)]
pub struct FileRangeResult {
    /// The batch that contains the requested offset, then the following ones.
    pub range: FileRange,
    /// Offset after the range.
    pub next: Offset,
    /// Bounds of the partition at the lookup.
    pub bounds: Bounds,
}

/// A batch and its offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchAt {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// The complete batch.
    pub batch: Bytes,
}

/// State of an idempotent producer in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerInfo {
    /// Its id.
    pub id: ProducerId,
    /// The epoch of its last batch.
    pub epoch: ProducerEpoch,
    /// The sequence number of its last record.
    pub last_sequence: Sequence,
    /// The base offset of its last batch.
    pub last_offset: Offset,
}

/// Result of looking up a batch among its producer's last five batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicateCheck {
    /// The batch is not a duplicate.
    None,
    /// The batch is a duplicate.
    Duplicate {
        /// Base offset of the original.
        base_offset: Offset,
        /// Whether the original is durable. If not, append the duplicate: its outcome is
        /// delivered when the original is durable.
        durable: bool,
    },
}

/// Result of a retention pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletedByRetention {
    /// Deleted segments; their files are removed after the next checkpoint.
    pub segments: usize,
    /// Bytes of their batches.
    pub bytes: u64,
    /// The log start offset after the pass.
    pub log_start: Offset,
}

/// Result of the maintenance of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maintained {
    /// Deletions by retention.
    pub deleted: DeletedByRetention,
    /// Result of the compaction, if one was due.
    pub compacted: Option<Compacted>,
}

/// A range of offsets lost to corruption. Fetching one returns [`ReadError::Corrupt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CorruptRange {
    /// First lost offset.
    pub from: Offset,
    /// First offset after the range.
    pub to: Offset,
}

/// Result of recovery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// WAL frames replayed after the checkpoint.
    pub frames_replayed: u64,
    /// Bytes of these frames.
    pub bytes_replayed: u64,
    /// Whether the WAL ended in an incomplete frame. It was never acknowledged and is ignored.
    pub torn_tail: bool,
    /// WAL sequence numbers that were durable and are now unreadable, as `[from, to)` pairs.
    pub missing_frames: Vec<(u64, u64)>,
    /// Corrupt ranges by partition.
    pub corrupt_ranges: Vec<(TopicPartition, CorruptRange)>,
    /// Whether leader epochs were increased because offsets may be assigned a second time.
    pub epochs_bumped: bool,
}

/// Errors of reads.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The partition is unknown, or its topic was deleted.
    #[error("unknown partition")]
    UnknownPartition,
    /// The offset is below the log start offset or above the high watermark.
    #[error("offset is out of range; expected {} to {}", bounds.log_start, bounds.high_watermark)]
    OutOfRange {
        /// Bounds of the partition.
        bounds: Bounds,
    },
    /// The batch that contains the offset is corrupt.
    #[error("offsets {} to {} are corrupt", range.from, range.to)]
    Corrupt {
        /// The corrupt range. Reading from `range.to` works.
        range: CorruptRange,
    },
    /// The file system returned an error.
    #[error("cannot read a segment")]
    Io(#[from] io::Error),
}

/// Errors of changes to the log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// The partition is unknown, or its topic was deleted.
    #[error("unknown partition")]
    UnknownPartition,
    /// The offset is above the high watermark.
    #[error("offset is out of range; expected {} to {}", bounds.log_start, bounds.high_watermark)]
    OutOfRange {
        /// Bounds of the partition.
        bounds: Bounds,
    },
    /// The disk is full or failed, or the log is closed.
    #[error("storage failed: {0}")]
    StorageFailed(String),
}

/// Errors of opening a data directory. Nothing on disk was changed, except under `Io`.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The format version is newer than this version supports.
    #[error("{path}: format version {found} is not supported; this version reads up to {known}")]
    NewerFormat {
        /// The file with the newer version.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// The newest supported version.
        known: u32,
    },
    /// The checkpoint is corrupt.
    #[error(
        "{path}: the checkpoint is corrupt at byte {at}; run `avouch log rebuild-checkpoint`, \
         which reads it from segments and WAL"
    )]
    CorruptCheckpoint {
        /// The file.
        path: PathBuf,
        /// Position of the first invalid byte.
        at: usize,
    },
    /// There is data but no checkpoint.
    #[error("{dir}: contains data but no checkpoint; run `avouch log rebuild-checkpoint`")]
    MissingCheckpoint {
        /// The data directory.
        dir: PathBuf,
    },
    /// A WAL file that existed is missing, which no crash can cause.
    #[error(
        "{dir}: the WAL file with frame {first} is missing, and with it acknowledged records; \
         restore it, or accept the loss with `avouch log accept-loss`"
    )]
    MissingWal {
        /// The directory of the WAL.
        dir: PathBuf,
        /// Sequence number of a frame in the file.
        first: u64,
    },
    /// A WAL file is shorter than it was, which no crash can cause.
    #[error(
        "{path}: the WAL file ends within a frame at byte {bytes}, and acknowledged records are \
         missing; restore it, or accept the loss with `avouch log accept-loss`"
    )]
    CutWal {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// The log directory is missing although there is other data.
    #[error(
        "{dir}: the log is missing, and with it all records; restore it, or accept the loss with \
         `avouch log accept-loss`"
    )]
    MissingLog {
        /// The directory.
        dir: PathBuf,
    },
    /// The configuration is invalid.
    #[error("{0}")]
    Config(&'static str),
    /// The file system returned an error.
    #[error("{path}: {error}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        // Not named `source`: the message contains it, and a report of the chain would repeat it.
        error: io::Error,
    },
}
