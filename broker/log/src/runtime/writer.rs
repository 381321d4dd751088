//! The writer: turns a round of jobs into one durable WAL frame, then makes it visible, then
//! answers. The only one who assigns offsets.
//!
//! Invariants: room is reserved before anything is decided, so a full disk changes nothing; after
//! a decision the frame is durable or the log is poisoned; nothing is visible, and no job is
//! answered, before that.

use std::ops::Range;
use std::sync::Arc;

use avouch_protocol::batch::BatchHeader;
use avouch_protocol::types::{Offset, TopicId, TopicPartition};
use bytes::Bytes;

use crate::api::{
    AppendBatch, AppendDone, AppendOutcome, Damage, Durability, LogError, LogStartDone, Origin,
};
use crate::failpoints::{self, Bug};
use crate::locks::lock;
use crate::partition::producer_state::SequenceVerdict;
use crate::partition::{Partition, TailBatch};
use crate::runtime::flusher::Flusher;
use crate::runtime::queue::{ChangeDone, Job};
use crate::runtime::shared::Shared;
use crate::runtime::wakeup::Wish;
use crate::storage::StorageError;
use crate::wal::frame::{FRAME_HEADER_BYTES, FrameBuilder, FrameSeq, Stamp};
use crate::wal::{Wal, slot_bytes};

#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    flusher: Arc<Flusher>,
    wal: Wal,
    next_seq: FrameSeq,
    synced_seq: FrameSeq,
    /// The disk had less space left than is kept in reserve when it was last looked at.
    is_low: bool,
    /// The checkpoint that opening has to take found no space.
    owes_checkpoint: bool,
}

impl Writer {
    /// A writer whose first frame is `next_seq`; all before it is durable.
    pub(crate) fn new(
        shared: Arc<Shared>,
        flusher: Arc<Flusher>,
        wal: Wal,
        next_seq: FrameSeq,
    ) -> Self {
        let synced_seq = shared.published();
        Self {
            shared,
            flusher,
            wal,
            next_seq,
            synced_seq,
            is_low: false,
            owes_checkpoint: false,
        }
    }

    /// Begins the WAL slot, so that the first append finds it ready. With `owes_checkpoint` nothing
    /// is appended before one was taken.
    ///
    /// # Errors
    /// Never `Full`: the first append tries again then.
    pub(crate) fn begin(&mut self, owes_checkpoint: bool) -> Result<(), StorageError> {
        self.owes_checkpoint = owes_checkpoint;
        if owes_checkpoint {
            return Ok(());
        }
        match self.make_room(0) {
            Err(StorageError::Full) => Ok(()),
            made => made,
        }
    }

    /// Makes one round durable, visible and answered.
    pub(crate) fn commit(&mut self, jobs: Vec<Job>) {
        let bytes: usize = jobs.iter().map(Job::bytes).sum();
        self.look_at_space();
        let (refused, jobs) = jobs
            .into_iter()
            .partition(|job| self.is_low && job.takes_space());
        fail(refused, "the disk has too little space left");
        match self.ready_for(bytes) {
            Ok(()) => self.commit_ready(jobs, bytes),
            Err(reason) => fail(jobs, &reason),
        }
        self.shared.queue.answered(bytes);
    }

    /// Tells, once each time, when the space left falls below the reserve and when it is back.
    fn look_at_space(&mut self) {
        let config = &self.shared.config;
        if config.low_space_bytes == 0 {
            return;
        }
        // A file system that does not say is taken to have enough; a full one is noticed anyway.
        let free = self.shared.disk.free_bytes(&config.dir);
        let is_low = free.is_ok_and(|free| free < config.low_space_bytes);
        if is_low != self.is_low {
            self.is_low = is_low;
            self.shared.listener.low_space(is_low);
        }
    }

    fn commit_ready(&mut self, jobs: Vec<Job>, bytes: usize) {
        let mut round = Round::new(bytes, self.next_seq, self.synced_seq);
        for job in jobs {
            round.decide(&self.shared, job);
        }
        let Round {
            frame,
            staged,
            replies,
            wants_sync,
            ..
        } = round;
        let is_empty = frame.is_empty();
        let frame = frame.seal(self.wal.opening(), self.next_seq, self.synced_seq);
        let persisted = if is_empty {
            self.sync_rest(wants_sync)
        } else {
            self.persist(&frame, wants_sync)
        };
        if let Err(error) = persisted {
            self.shared.note_failure(&error);
            let reason = error.to_string();
            replies.into_iter().for_each(|reply| reply.fail(&reason));
            return;
        }
        if is_empty {
            replies.into_iter().for_each(Reply::give);
            return;
        }
        let moved = self.publish(&frame, staged);
        self.shared.listener.advanced(&moved);
        replies.into_iter().for_each(Reply::give);
        if failpoints::is_on(Bug::AckBeforeSync) {
            drop(self.wal.sync());
        }
        self.wake_flusher();
    }

    /// Reserves room for a round, or says why there is none.
    fn ready_for(&mut self, bytes: usize) -> Result<(), String> {
        if let Some(reason) = self.shared.poison() {
            return Err(reason.to_owned());
        }
        self.make_room(bytes).map_err(|error| {
            self.shared.note_failure(&error);
            error.to_string()
        })
    }

    /// Makes room in the WAL and in memory, by writing segments here and now where the flusher
    /// lags behind: that is what slows producers down to what the disk can take.
    fn make_room(&mut self, bytes: usize) -> Result<(), StorageError> {
        if self.owes_checkpoint {
            self.flusher.checkpoint()?;
            self.owes_checkpoint = false;
        }
        let frame_bytes = FRAME_HEADER_BYTES + bytes;
        let mut reserved = self.wal.reserve(self.next_seq, frame_bytes);
        if reserved == Err(StorageError::WalFull) {
            self.flusher.wait_for_checkpoint();
            reserved = self.wal.reserve(self.next_seq, frame_bytes);
        }
        if reserved == Err(StorageError::WalFull) {
            self.flusher.checkpoint()?;
            reserved = self.wal.reserve(self.next_seq, frame_bytes);
        }
        reserved?;
        let unflushed = self.shared.memory.unflushed();
        if unflushed > 0 && unflushed + bytes > self.shared.config.tail_bytes_max {
            self.flusher.flush()?;
        }
        Ok(())
    }

    fn persist(&mut self, frame: &[u8], wants_sync: bool) -> Result<(), StorageError> {
        self.wal.write(frame)?;
        let syncs = match self.shared.config.durability {
            Durability::Fsync => !failpoints::is_on(Bug::AckBeforeSync),
            Durability::Os => wants_sync,
        };
        if syncs {
            self.wal.sync()?;
            self.synced_seq = self.next_seq;
        }
        Ok(())
    }

    /// Syncs the frames before this round, if somebody wants that and some are not.
    fn sync_rest(&mut self, wants_sync: bool) -> Result<(), StorageError> {
        let published = self.shared.published();
        if wants_sync && self.synced_seq < published {
            self.wal.sync()?;
            self.synced_seq = published;
        }
        Ok(())
    }

    /// Makes a durable frame visible; returns the partitions whose high watermark moved.
    fn publish(&mut self, frame: &Bytes, staged: Vec<Staged>) -> Vec<TopicPartition> {
        let mut moved = Vec::new();
        let mut added = Vec::new();
        let mut new_producers = 0;
        for change in staged {
            match change {
                Staged::Batch {
                    partition,
                    at,
                    batch,
                } => {
                    added.push((Arc::clone(&partition), at.len()));
                    moved.push(partition.tp);
                    let bytes = frame.slice(at);
                    let batch = TailBatch { bytes, ..batch };
                    new_producers += partition.state().publish(batch, self.next_seq);
                }
                Staged::LogStart { partition, offset } => {
                    let gone = partition.state().raise_log_start(offset);
                    let paths = gone.iter().map(|segment| segment.path(&partition.dir));
                    lock(&self.shared.garbage).segments.extend(paths);
                }
                Staged::Deleted { topic, partitions } => {
                    // First the tombstone: a checkpoint that misses the partitions must have it.
                    lock(&self.shared.garbage).topics.insert(topic);
                    partitions
                        .iter()
                        .for_each(|gone| self.shared.drop_partition(gone));
                }
                Staged::Skipped { partition, damage } => partition.state().skip(damage),
            }
        }
        self.shared.memory.added(added.into_iter());
        self.shared.note_producers(new_producers);
        self.shared.publish(self.next_seq, slot_bytes(frame.len()));
        self.next_seq = self.next_seq.next();
        moved.sort_unstable();
        moved.dedup();
        moved
    }

    fn wake_flusher(&self) {
        if self.wal.wants_spare() {
            self.shared.wake_spare.raise(Wish::Flush);
        }
        let config = &self.shared.config;
        if self.shared.wal_bytes_since_checkpoint() > config.checkpoint_bytes {
            self.shared.wake_flusher.raise(Wish::Checkpoint);
        } else if self.shared.memory.unflushed() > config.tail_bytes_max / 2 {
            self.shared.wake_flusher.raise(Wish::Flush);
        }
        self.shared.memory.trim();
    }
}

fn fail(jobs: Vec<Job>, reason: &str) {
    jobs.into_iter().for_each(|job| job.fail(reason));
}

/// A change that is decided but not durable.
enum Staged {
    Batch {
        partition: Arc<Partition>,
        /// Where it stands in the frame.
        at: Range<usize>,
        /// Without its bytes, which are not final before the frame is.
        batch: TailBatch,
    },
    LogStart {
        partition: Arc<Partition>,
        offset: Offset,
    },
    Deleted {
        topic: TopicId,
        partitions: Vec<Arc<Partition>>,
    },
    Skipped {
        partition: Arc<Partition>,
        damage: Damage,
    },
}

/// An answer that waits for durability.
enum Reply {
    Append {
        outcomes: Vec<AppendOutcome>,
        done: AppendDone,
    },
    LogStart {
        result: Result<Offset, LogError>,
        done: LogStartDone,
    },
    Changed {
        result: Result<(), LogError>,
        done: ChangeDone,
    },
}

impl Reply {
    fn give(self) {
        match self {
            Self::Append { outcomes, done } => done(outcomes),
            Self::LogStart { result, done } => done(result),
            Self::Changed { result, done } => done(result),
        }
    }

    fn fail(self, reason: &str) {
        let error = || LogError::StorageFailed(reason.to_owned());
        match self {
            Self::Append { outcomes, done } => {
                done(vec![AppendOutcome::StorageFailed; outcomes.len()]);
            }
            Self::LogStart { done, .. } => done(Err(error())),
            Self::Changed { done, .. } => done(Err(error())),
        }
    }
}

/// One round while it is decided.
struct Round {
    seq: FrameSeq,
    synced_seq: FrameSeq,
    frame: FrameBuilder,
    staged: Vec<Staged>,
    replies: Vec<Reply>,
    /// A topic, or somebody, asks for a sync that mode `os` would not do.
    wants_sync: bool,
}

impl Round {
    fn new(bytes: usize, seq: FrameSeq, synced_seq: FrameSeq) -> Self {
        Self {
            seq,
            synced_seq,
            frame: FrameBuilder::new(bytes),
            staged: Vec::new(),
            replies: Vec::new(),
            wants_sync: false,
        }
    }

    fn decide(&mut self, shared: &Shared, job: Job) {
        match job {
            Job::Append { batches, done } => {
                let outcomes = batches
                    .iter()
                    .map(|batch| self.append(shared, batch))
                    .collect();
                self.replies.push(Reply::Append { outcomes, done });
            }
            Job::LogStart {
                target,
                offset,
                done,
            } => {
                let result = self.log_start(shared, target, offset);
                self.replies.push(Reply::LogStart { result, done });
            }
            Job::DeleteTopic { topic, done } => {
                self.delete(shared, topic);
                let result = Ok(());
                self.replies.push(Reply::Changed { result, done });
            }
            Job::SkipDamage {
                target,
                damage,
                done,
            } => {
                let result = self.skip(shared, target, damage);
                self.replies.push(Reply::Changed { result, done });
            }
            Job::Sync { done } => {
                self.wants_sync = true;
                let result = Ok(());
                self.replies.push(Reply::Changed { result, done });
            }
        }
    }

    fn append(&mut self, shared: &Shared, append: &AppendBatch) -> AppendOutcome {
        let header = match BatchHeader::parse(&append.batch) {
            Ok(header) if is_appendable(&header, append.batch.len()) => header,
            Ok(_) | Err(_) => return AppendOutcome::Malformed,
        };
        let Some(partition) = shared.partition(append.target) else {
            return AppendOutcome::UnknownPartition;
        };
        let (placed, log_start) = match place(&partition, append, &header) {
            Ok(placed) => placed,
            Err(refused) => return refused,
        };
        self.wants_sync |=
            partition
                .state()
                .count_unsynced(self.seq, self.synced_seq, header.record_count);
        let from_coordinator = append.origin == Origin::Coordinator;
        let at = self.frame.batch(
            append.target,
            append.tag,
            from_coordinator,
            &append.batch,
            placed,
        );
        let batch = TailBatch {
            base_offset: placed.base_offset,
            next_offset: next_offset(placed.base_offset, &header),
            max_timestamp: placed.append_time.unwrap_or(header.max_timestamp),
            tag: append.tag,
            bytes: Bytes::new(),
        };
        self.staged.push(Staged::Batch {
            partition,
            at,
            batch,
        });
        let Stamp {
            base_offset,
            append_time,
            ..
        } = placed;
        AppendOutcome::Appended {
            base_offset,
            log_start,
            append_time,
        }
    }

    fn log_start(
        &mut self,
        shared: &Shared,
        target: TopicPartition,
        offset: Offset,
    ) -> Result<Offset, LogError> {
        let partition = shared.partition(target).ok_or(LogError::UnknownPartition)?;
        let (bounds, deleted) = {
            let state = partition.state();
            (state.bounds(), state.deleting)
        };
        if deleted {
            return Err(LogError::UnknownPartition);
        }
        if offset > bounds.high_watermark {
            return Err(LogError::OutOfRange { bounds });
        }
        if offset <= bounds.log_start {
            return Ok(bounds.log_start);
        }
        self.frame.log_start(target, offset);
        self.staged.push(Staged::LogStart { partition, offset });
        Ok(offset)
    }

    fn skip(
        &mut self,
        shared: &Shared,
        target: TopicPartition,
        damage: Damage,
    ) -> Result<(), LogError> {
        let partition = shared.partition(target).ok_or(LogError::UnknownPartition)?;
        self.frame.damage_skipped(target, damage);
        self.staged.push(Staged::Skipped { partition, damage });
        Ok(())
    }

    fn delete(&mut self, shared: &Shared, topic: TopicId) {
        let partitions = shared.partitions_of(topic);
        if partitions.is_empty() {
            return;
        }
        for partition in &partitions {
            partition.state().deleting = true;
        }
        self.frame.topic_deleted(topic);
        self.staged.push(Staged::Deleted { topic, partitions });
    }
}

/// Gives a batch its offset, or says why it gets none. All of it under the partition's lock.
fn place(
    partition: &Partition,
    append: &AppendBatch,
    header: &BatchHeader,
) -> Result<(Stamp, Offset), AppendOutcome> {
    let mut state = partition.state();
    if state.deleting {
        return Err(AppendOutcome::UnknownPartition);
    }
    let log_start = state.log_start;
    match append.origin {
        Origin::Client => match state.producers.check(header) {
            SequenceVerdict::Append => {}
            SequenceVerdict::Duplicate { base_offset } => {
                return Err(AppendOutcome::Duplicate {
                    base_offset,
                    log_start,
                });
            }
            SequenceVerdict::DuplicateSequence => return Err(AppendOutcome::DuplicateSequence),
            SequenceVerdict::OutOfOrder => return Err(AppendOutcome::OutOfOrderSequence),
            SequenceVerdict::OldEpoch => return Err(AppendOutcome::InvalidProducerEpoch),
        },
        Origin::Coordinator => {}
    }
    if append.guard.as_ref().is_some_and(|guard| !guard.holds()) {
        return Err(AppendOutcome::GuardChanged);
    }
    let base_offset = state.next_offset;
    state.next_offset = next_offset(base_offset, header);
    if append.origin == Origin::Client {
        state.producers.stage(header, base_offset);
    }
    let leader_epoch = state.leader_epoch;
    Ok((
        Stamp {
            base_offset,
            leader_epoch,
            append_time: append.append_time,
        },
        log_start,
    ))
}

fn next_offset(base_offset: Offset, header: &BatchHeader) -> Offset {
    base_offset
        .plus(i64::from(header.last_offset_delta))
        .plus(1)
}

fn is_appendable(header: &BatchHeader, bytes: usize) -> bool {
    header.size_bytes == bytes && header.last_offset_delta >= 0
}
