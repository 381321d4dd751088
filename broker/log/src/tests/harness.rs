//! A log without threads: each test decides when a round is committed and when segments are
//! written, so the order of disk operations is the same in every run.

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
use crate::wal::{WalLimits, prepare_spare};
use crate::{
    AppendBatch, AppendOutcome, Compacted, Damage, Disk, Listener, Log, LogConfig, OpenError,
    RecoveryReport, compaction, recovery,
};

/// Remembers what it heard.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) poisoned: Mutex<Vec<String>>,
    pub(super) advanced: Mutex<Vec<TopicPartition>>,
    pub(super) low_space: Mutex<Vec<bool>>,
    pub(super) damaged: Mutex<Vec<(TopicPartition, Damage)>>,
}

impl Listener for Heard {
    fn advanced(&self, partitions: &[TopicPartition]) {
        lock(&self.advanced).extend(partitions);
    }

    fn poisoned(&self, reason: &str) {
        lock(&self.poisoned).push(reason.to_owned());
    }

    fn low_space(&self, is_low: bool) {
        lock(&self.low_space).push(is_low);
    }

    fn damaged(&self, tp: TopicPartition, damage: Damage) {
        lock(&self.damaged).push((tp, damage));
    }
}

#[derive(Debug)]
pub(super) struct Driven {
    pub(super) log: Log,
    pub(super) heard: Arc<Heard>,
    writer: Writer,
    flusher: Arc<Flusher>,
}

/// Sizes so small that a few appends fill every file.
pub(super) fn small(dir: impl Into<PathBuf>) -> LogConfig {
    LogConfig {
        wal_file_bytes: 8 << 10,
        wal_bytes_max: 32 << 10,
        checkpoint_bytes: 16 << 10,
        segment_bytes: 4 << 10,
        tail_bytes_max: 8 << 10,
        round_bytes_max: 4 << 10,
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
        let heard = Arc::new(Heard::default());
        let listener: Arc<dyn Listener> = Arc::<Heard>::clone(&heard);
        let opened = recovery::open(config, disk, listener)?;
        let threads = Threads::none(Arc::clone(&opened.shared), Arc::clone(&opened.flusher));
        let log = Log {
            shared: Arc::clone(&opened.shared),
            threads: Arc::new(threads),
        };
        let driven = Self {
            log,
            heard,
            writer: opened.writer,
            flusher: opened.flusher,
        };
        Ok((driven, opened.report))
    }

    /// Commits one round.
    pub(super) fn round(&mut self) -> bool {
        let shared = &self.log.shared;
        let round = shared.queue.round(shared.config.round_bytes_max);
        round.map(|jobs| self.writer.commit(jobs)).is_some()
    }

    /// Commits all that is queued.
    pub(super) fn commit(&mut self) {
        while self.round() {}
    }

    pub(super) fn flush(&self) -> Result<(), StorageError> {
        self.flusher.flush()
    }

    /// Has the next WAL slot ready.
    pub(super) fn spare(&self) -> Result<(), StorageError> {
        let shared = &self.log.shared;
        let limits = WalLimits::of(&shared.config);
        prepare_spare(&*shared.disk, &shared.wal_dir(), limits, &shared.slots)
    }

    pub(super) fn checkpoint(&self) -> Result<(), StorageError> {
        self.flusher.checkpoint()
    }

    /// To be run by another thread, or in the middle of something else.
    pub(super) fn flusher(&self) -> Arc<Flusher> {
        Arc::clone(&self.flusher)
    }

    /// Gives damage up, and commits that.
    pub(super) fn skip_damage(&mut self, target: TopicPartition, damage: Damage) {
        let done = Box::new(|skipped: Result<(), _>| assert!(skipped.is_ok()));
        self.log.submit(Job::SkipDamage {
            target,
            damage,
            done,
        });
        self.commit();
    }

    /// Closes a partition's active segment.
    pub(super) fn roll(&self, tp: TopicPartition) -> Result<(), StorageError> {
        self.flusher.roll(&self.partition(tp))
    }

    /// Compacts a partition if that is due.
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

    /// Appends and commits in one go.
    pub(super) fn append(&mut self, batches: Vec<AppendBatch>) -> Vec<AppendOutcome> {
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&outcomes);
        self.log
            .append(batches, Box::new(move |got| *lock(&sink) = got));
        self.commit();
        std::mem::take(&mut lock(&outcomes))
    }
}
