//! A log without threads: each test decides when jobs are committed and segments are written, so
//! the order of disk operations is the same in every run.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use avouch_protocol::types::{TimestampMs, TopicPartition};

use crate::locks::lock;
use crate::partition::Partition;
use crate::runtime::flusher::Flusher;
use crate::runtime::queue::Job;
use crate::runtime::threads::Threads;
use crate::runtime::writer::Writer;
use crate::storage::StorageError;
use crate::wal::{WalLimits, preallocate_file};
use crate::{
    AppendBatch, AppendOutcome, Compacted, CorruptRange, Disk, Listener, Log, LogConfig, OpenError,
    RecoveryReport, compaction, recovery,
};

/// Records the events of a log.
#[derive(Debug, Default)]
pub(super) struct TestListener {
    pub(super) poisoned: Mutex<Vec<String>>,
    pub(super) advanced: Mutex<Vec<TopicPartition>>,
    pub(super) low_space: Mutex<Vec<bool>>,
    pub(super) postponed: Mutex<Vec<String>>,
    pub(super) corrupt_ranges: Mutex<Vec<(TopicPartition, CorruptRange)>>,
}

impl Listener for TestListener {
    fn advanced(&self, partitions: &[TopicPartition]) {
        lock(&self.advanced).extend(partitions);
    }

    fn poisoned(&self, reason: &str) {
        lock(&self.poisoned).push(reason.to_owned());
    }

    fn low_space(&self, is_low: bool) {
        lock(&self.low_space).push(is_low);
    }

    fn write_postponed(&self, reason: &str) {
        lock(&self.postponed).push(reason.to_owned());
    }

    fn corrupt_range_found(&self, tp: TopicPartition, range: CorruptRange) {
        lock(&self.corrupt_ranges).push((tp, range));
    }
}

#[derive(Debug)]
pub(super) struct Driven {
    pub(super) log: Log,
    pub(super) received: Arc<TestListener>,
    writer: Writer,
    flusher: Arc<Flusher>,
}

/// Returns a configuration in which a few appends fill every file.
pub(super) fn small(dir: impl Into<PathBuf>) -> LogConfig {
    LogConfig {
        wal_file_bytes: 8 << 10,
        wal_bytes_max: 32 << 10,
        checkpoint_bytes: 16 << 10,
        segment_bytes: 4 << 10,
        tail_bytes_max: 8 << 10,
        commit_bytes_max: 4 << 10,
        open_files_max: 1,
        low_space_bytes: 0,
        ..LogConfig::new(dir)
    }
}

impl Driven {
    pub(super) fn open(
        config: LogConfig,
        disk: Arc<dyn Disk>,
    ) -> Result<(Self, RecoveryReport), OpenError> {
        let received = Arc::new(TestListener::default());
        let listener: Arc<dyn Listener> = Arc::<TestListener>::clone(&received);
        let opened = recovery::open(config, disk, listener)?;
        let threads = Threads::none(Arc::clone(&opened.shared), Arc::clone(&opened.flusher));
        let log = Log {
            shared: Arc::clone(&opened.shared),
            threads: Arc::new(threads),
        };
        let driven = Self {
            log,
            received,
            writer: opened.writer,
            flusher: opened.flusher,
        };
        Ok((driven, opened.report))
    }

    /// Commits one batch of jobs.
    pub(super) fn commit_next(&mut self) -> bool {
        let shared = &self.log.shared;
        let batch = shared.queue.next_batch(shared.config.commit_bytes_max);
        batch.map(|jobs| self.writer.commit(jobs)).is_some()
    }

    /// Commits all queued jobs.
    pub(super) fn commit(&mut self) {
        while self.commit_next() {}
    }

    pub(super) fn flush(&self) -> Result<(), StorageError> {
        self.flusher.flush()
    }

    /// Preallocates the next WAL file.
    pub(super) fn spare(&self) -> Result<(), StorageError> {
        let shared = &self.log.shared;
        let limits = WalLimits::of(&shared.config);
        preallocate_file(&*shared.disk, &shared.wal_dir(), limits, &shared.wal_files)
    }

    pub(super) fn checkpoint(&self) -> Result<(), StorageError> {
        self.flusher.checkpoint()
    }

    /// Returns a handle for another thread.
    pub(super) fn flusher(&self) -> Arc<Flusher> {
        Arc::clone(&self.flusher)
    }

    /// Skips a corrupt range and commits that.
    pub(super) fn skip_corrupt_range(&mut self, target: TopicPartition, range: CorruptRange) {
        let done = Box::new(|skipped: Result<(), _>| assert!(skipped.is_ok()));
        self.log.submit(Job::SkipCorruptRange {
            target,
            range,
            done,
        });
        self.commit();
    }

    /// Closes a partition's active segment.
    pub(super) fn roll(&self, tp: TopicPartition) -> Result<(), StorageError> {
        self.flusher.roll(&self.partition(tp))
    }

    /// Compacts a partition if due.
    pub(super) fn compact(
        &self,
        tp: TopicPartition,
        now: TimestampMs,
    ) -> Result<Option<Compacted>, StorageError> {
        compaction::compact(&self.log.shared, &self.flusher, &self.partition(tp), now)
    }

    fn partition(&self, tp: TopicPartition) -> Arc<Partition> {
        self.log.shared.partition(tp).unwrap()
    }

    pub(super) fn close(mut self) -> Result<(), StorageError> {
        self.commit();
        self.flusher.final_checkpoint()
    }

    /// Appends and commits.
    pub(super) fn append(&mut self, batches: Vec<AppendBatch>) -> Vec<AppendOutcome> {
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&outcomes);
        self.log
            .append(batches, Box::new(move |got| *lock(&sink) = got));
        self.commit();
        std::mem::take(&mut lock(&outcomes))
    }
}
