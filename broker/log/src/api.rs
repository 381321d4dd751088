//! What callers of the log say and hear: values only, no behaviour.
//!
//! Offsets handed out here are final: an outcome is delivered only once its batch is as durable as
//! the configured mode promises. Knows no Kafka error code; the handlers map these enums.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use avouch_protocol::chunk::Stretch;
use avouch_protocol::types::{LeaderEpoch, Offset, TimestampMs, TopicPartition};
use bytes::Bytes;
use thiserror::Error;

use crate::compaction::Compacted;

/// When an append counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// After its WAL frame was synced: survives a power cut.
    Fsync,
    /// After its WAL frame was handed to the operating system: survives a killed process only.
    Os,
}

/// How a log is kept. Plain data; build it with [`LogConfig::new`] and change fields.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// The data directory; created when missing.
    pub dir: PathBuf,
    /// When an append counts as done. Default `Fsync`.
    pub durability: Durability,
    /// Size of one WAL file. Default 64 MiB; more means fewer, later recycled files.
    pub wal_file_bytes: u64,
    /// All WAL files together. Default 1 GiB; more lets producers run further ahead of slow
    /// segment writes, and costs disk and restart time.
    pub wal_bytes_max: u64,
    /// WAL bytes after which a checkpoint is taken. Default 256 MiB; bounds what a restart replays.
    pub checkpoint_bytes: u64,
    /// A segment is closed before it grows beyond this. Default 1 GiB, at most 2 GiB.
    pub segment_bytes: u64,
    /// Newest batches kept in memory, over all partitions. Default 32 MiB; half of it is what may
    /// wait for being written to segments before that is started.
    pub tail_bytes_max: usize,
    /// Bytes of batches that are committed by one write and sync. Default 8 MiB.
    pub round_bytes_max: usize,
    /// Segment files held open for reading. Default 512; sixteen times as many may be open because
    /// they were written to since the last checkpoint, so raise RLIMIT_NOFILE with it.
    pub open_files_max: usize,
    /// Files and directories from which on a checkpoint syncs the whole file system at one go.
    /// Default 512; fewer syncs, but of other programs' data too.
    pub sync_all_from: usize,
    /// Keys that one compaction compares, in bytes of memory. Default 64 MiB; with more, fewer
    /// passes are needed over partitions with many keys.
    pub compaction_bytes_max: usize,
    /// `producer.id.expiration.ms`: how long a producer that sends nothing is remembered. Default a
    /// day, as Kafka's.
    pub producer_expiration_ms: i64,
    /// Producers that are remembered, each counted for every partition it writes to; beyond it the
    /// least recently used are forgotten. Default 100,000; more cost 400 bytes each.
    pub producers_max: usize,
    /// Space that the disk must have left for producers to be served. Default 512 MiB; 0 lets them
    /// fill it. What is left keeps deletion, retention, offset commits and checkpoints going.
    pub low_space_bytes: u64,
}

/// The default of [`LogConfig::low_space_bytes`].
pub const LOW_SPACE_BYTES: u64 = 512 << 20;

impl LogConfig {
    /// The defaults, over data directory `dir`.
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
            round_bytes_max: 8 << 20,
            open_files_max: 512,
            sync_all_from: 512,
            compaction_bytes_max: 64 << 20,
            producer_expiration_ms: 24 * 3_600_000,
            producers_max: 100_000,
            low_space_bytes: LOW_SPACE_BYTES,
        }
    }
}

/// Hears of what the log did. Called on log threads: must return at once and never call the log's
/// blocking methods.
pub trait Listener: Send + Sync {
    /// The high watermark of these partitions moved; reads already see it, and the outcomes of the
    /// appends that moved it are delivered right after.
    fn advanced(&self, partitions: &[TopicPartition]);
    /// Storage failed for good: every waiting and later append gets `StorageFailed`. The process
    /// should exit non-zero; the next start recovers.
    fn poisoned(&self, reason: &str);
    /// The space left on the disk fell below what is kept in reserve, or is back.
    fn low_space(&self, is_low: bool);
    /// Opening found damage, or a reader met some that nobody has met before since then.
    fn damaged(&self, tp: TopicPartition, damage: Damage);
}

/// Who wrote a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A producer: its sequence is checked and remembered.
    Client,
    /// The broker's own coordinators: no producer check, no producer state.
    Coordinator,
}

/// Numbers that must not have changed since a decision was made, e.g. a policy's revision.
#[derive(Clone, Debug)]
pub struct Guard {
    // Two without an allocation: a policy and one schema are the usual ones.
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
    /// Creates a guard of one number: where it is kept, and its value at the decision.
    #[must_use]
    pub fn new(current: Arc<AtomicU64>, expected: u64) -> Self {
        Self {
            first: Condition { current, expected },
            second: None,
            more: Vec::new(),
        }
    }

    /// Adds a number.
    pub fn add(&mut self, current: Arc<AtomicU64>, expected: u64) {
        let condition = Condition { current, expected };
        match self.second {
            None => self.second = Some(condition),
            Some(_) => self.more.push(condition),
        }
    }

    /// Returns whether all numbers are still the expected ones.
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

/// One batch to append.
#[derive(Clone, Debug)]
pub struct AppendBatch {
    /// Where to.
    pub target: TopicPartition,
    /// Exactly one record batch of magic 2 whose CRC was checked.
    pub batch: Bytes,
    /// Opaque to the log; kept per segment.
    pub tag: u32,
    /// `Some`: stamped into the batch as every record's timestamp (`LogAppendTime`).
    pub append_time: Option<TimestampMs>,
    /// Looked at when the offset is assigned.
    pub guard: Option<Guard>,
    /// Whether producer rules hold for it.
    pub origin: Origin,
}

/// What became of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// Appended and durable.
    Appended {
        /// Offset of its first record.
        base_offset: Offset,
        /// The partition's log start offset.
        log_start: Offset,
        /// The timestamp stamped into it, if one was.
        append_time: Option<TimestampMs>,
    },
    /// One of the producer's last five batches; durable since.
    Duplicate {
        /// Offset the original got.
        base_offset: Offset,
        /// The partition's log start offset.
        log_start: Offset,
    },
    /// The producer skipped a sequence.
    OutOfOrderSequence,
    /// The sequence is older than the producer's last five batches.
    DuplicateSequence,
    /// The producer's epoch is older than the newest seen.
    InvalidProducerEpoch,
    /// No such partition, or its topic was deleted.
    UnknownPartition,
    /// A number of the guard had changed; nothing of this batch was appended.
    GuardChanged,
    /// The bytes are not exactly one batch of magic 2: a mistake of the caller.
    Malformed,
    /// The disk is full or failed, or the log is closed; whether the batch is kept is unknown
    /// after a failure, and it is not when the disk was full.
    StorageFailed,
}

/// Gets one outcome per batch, in the order of the batches. Runs on the writer thread after
/// durability, in append order; must return at once.
pub type AppendDone = Box<dyn FnOnce(Vec<AppendOutcome>) + Send>;

/// Gets the log start offset once a change of it is durable.
pub type LogStartDone = Box<dyn FnOnce(Result<Offset, LogError>) + Send>;

/// The edges of a partition. `log_start <= last_stable <= high_watermark`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// First offset that can be read.
    pub log_start: Offset,
    /// First offset that is not yet durable, so not yet visible.
    pub high_watermark: Offset,
    /// First offset of an undecided transaction; the high watermark while there is none. (The
    /// log does not track transactions yet, so it always is the high watermark.)
    pub last_stable: Offset,
    /// Stamped into batches appended now.
    pub leader_epoch: LeaderEpoch,
}

/// Whole batches from a partition.
#[derive(Clone, Debug)]
pub struct ReadResult {
    /// The batch that contains the asked offset, then those after it.
    pub batches: Vec<Bytes>,
    /// The partition's edges when the read began.
    pub bounds: Bounds,
}

/// Whole batches that stay in their file.
#[derive(Clone, Debug)]
pub struct Stretched {
    /// The batch that contains the asked offset, then those after it.
    pub stretch: Stretch,
    /// The offset behind them.
    pub next: Offset,
    /// The partition's edges when they were looked up.
    pub bounds: Bounds,
}

/// One batch and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchAt {
    /// Offset of its first record.
    pub base_offset: Offset,
    /// The whole batch.
    pub batch: Bytes,
}

/// Whether a batch was seen before, asked before it is checked any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicateCheck {
    /// Not among the producer's last five batches.
    None,
    /// It was.
    Duplicate {
        /// Offset the original got.
        base_offset: Offset,
        /// Whether the original may be acknowledged; if not, append the duplicate: its outcome
        /// comes once the original is durable.
        durable: bool,
    },
}

/// What a retention pass gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retired {
    /// Closed segments that are no longer readable; their files go with the next checkpoint.
    pub segments: usize,
    /// Bytes of batches in them.
    pub bytes: u64,
    /// The log start offset now.
    pub log_start: Offset,
}

/// What looking after a partition did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Maintained {
    /// What was too old or too much.
    pub retired: Retired,
    /// What compaction did, if it was due.
    pub compacted: Option<Compacted>,
}

/// Offsets that a damaged file took away. Reading them answers [`ReadError::Corrupt`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// First lost offset.
    pub from: Offset,
    /// First offset that is there again.
    pub to: Offset,
}

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// WAL frames replayed behind the checkpoint.
    pub frames_replayed: u64,
    /// Bytes of them.
    pub bytes_replayed: u64,
    /// Whether the WAL ended in an incomplete frame, which was never acknowledged and was cut.
    pub torn_tail: bool,
    /// WAL sequence numbers that were durable once and are unreadable now: `[from, to)` pairs.
    pub damaged_frames: Vec<(u64, u64)>,
    /// Partitions with offsets lost to damage.
    pub damaged_partitions: Vec<(TopicPartition, Damage)>,
    /// Whether leader epochs were raised because offsets may be given out a second time.
    pub epochs_bumped: bool,
}

/// Why a read failed.
#[derive(Debug, Error)]
pub enum ReadError {
    /// No such partition, or its topic was deleted.
    #[error("no such partition")]
    UnknownPartition,
    /// Below the log start offset or above the high watermark.
    #[error("offset is outside {}..={}", bounds.log_start, bounds.high_watermark)]
    OutOfRange {
        /// The partition's edges.
        bounds: Bounds,
    },
    /// The bytes that held the offset are damaged.
    #[error("offsets {} to {} are damaged", damage.from, damage.to)]
    Corrupt {
        /// What is lost; reading on from `to` works.
        damage: Damage,
    },
    /// The disk failed to answer.
    #[error("segment could not be read")]
    Io(#[from] io::Error),
}

/// Why a change of the log failed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LogError {
    /// No such partition, or its topic was deleted.
    #[error("no such partition")]
    UnknownPartition,
    /// Above the high watermark.
    #[error("offset is outside {}..={}", bounds.log_start, bounds.high_watermark)]
    OutOfRange {
        /// The partition's edges.
        bounds: Bounds,
    },
    /// The disk is full or failed, or the log is closed.
    #[error("storage failed: {0}")]
    StorageFailed(String),
}

/// Why a data directory did not open. Nothing was changed on disk, except under `Io`.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Written by a version that knows more.
    #[error("{path}: format {found}, this version reads up to {known}")]
    NewerFormat {
        /// The file that says so.
        path: PathBuf,
        /// Its format version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The checkpoint is unreadable.
    #[error("{path}: the checkpoint is damaged at byte {at}")]
    DamagedCheckpoint {
        /// The file.
        path: PathBuf,
        /// The first byte that makes no sense.
        at: usize,
    },
    /// There are data files but no checkpoint.
    #[error("{dir}: data without a checkpoint")]
    MissingCheckpoint {
        /// The data directory.
        dir: PathBuf,
    },
    /// The configuration contradicts itself.
    #[error("{0}")]
    Config(&'static str),
    /// The disk failed.
    #[error("{path}: {source}")]
    Io {
        /// What was being worked on.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}
