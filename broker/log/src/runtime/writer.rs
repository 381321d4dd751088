//! The writer thread: turns a commit batch of jobs into one durable WAL frame, makes it visible and
//! responds. Only the writer assigns offsets.
//!
//! Invariants: space is reserved before anything is decided, so a full disk changes nothing; after
//! a decision the frame is durable or the log is poisoned; nothing is visible or acknowledged
//! before.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use avouch_protocol::batch::BatchHeader;
use avouch_protocol::types::{Offset, TopicId, TopicPartition};
use bytes::Bytes;

use crate::api::{
    AppendBatch, AppendDone, AppendOutcome, CorruptRange, Durability, LogError, LogStartDone,
    Origin,
};
use crate::failpoints::{self, Bug};
use crate::locks::lock;
use crate::partition::producer_state::SequenceCheck;
use crate::partition::{Partition, TailBatch};
use crate::runtime::flusher::Flusher;
use crate::runtime::queue::{ChangeDone, Job};
use crate::runtime::shared::Shared;
use crate::runtime::wakeup::FlusherTask;
use crate::storage::StorageError;
use crate::wal::frame::{FRAME_HEADER_BYTES, FrameBuilder, FrameSeq, Stamp};
use crate::wal::{Wal, padded_bytes};

#[derive(Debug)]
pub(crate) struct Writer {
    shared: Arc<Shared>,
    flusher: Arc<Flusher>,
    wal: Wal,
    next_seq: FrameSeq,
    synced_seq: FrameSeq,
    /// Whether the free disk space was below the reserve at the last check.
    is_low: bool,
    /// The checkpoint of the start failed because the disk was full.
    checkpoint_pending: bool,
}

impl Writer {
    /// Creates a writer whose first frame is `next_seq`; all earlier ones are durable.
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
            checkpoint_pending: false,
        }
    }

    /// Starts a WAL file, so that the first append need not wait for it. With `checkpoint_pending`
    /// a checkpoint precedes the first append.
    ///
    /// # Errors
    /// Never `Full`: the first append repeats the attempt.
    pub(crate) fn start(&mut self, checkpoint_pending: bool) -> Result<(), StorageError> {
        self.checkpoint_pending = checkpoint_pending;
        if checkpoint_pending {
            return Ok(());
        }
        match self.make_room(0) {
            Err(StorageError::Full | StorageError::NoHandle(_)) => Ok(()),
            made => made,
        }
    }

    /// Commits one batch of jobs and completes each of them.
    pub(crate) fn commit(&mut self, jobs: Vec<Job>) {
        let bytes: usize = jobs.iter().map(Job::bytes).sum();
        self.check_free_space();
        let (rejected, jobs) = jobs
            .into_iter()
            .partition(|job| self.is_low && job.takes_space());
        fail(rejected, "free disk space is below the reserve");
        match self.reserve(bytes) {
            Ok(()) => self.commit_reserved(jobs, bytes),
            Err(error) => fail(jobs, &error.to_string()),
        }
        self.shared.queue.completed(bytes);
    }

    /// Reports each time the free space falls below the reserve or is above it again.
    fn check_free_space(&mut self) {
        let config = &self.shared.config;
        if config.low_space_bytes == 0 {
            return;
        }
        // If the free space is unknown, continue: a full disk is detected by the write itself.
        let free = self.shared.disk.free_bytes(&config.dir);
        let is_low = free.is_ok_and(|free| free < config.low_space_bytes);
        if is_low != self.is_low {
            self.is_low = is_low;
            self.shared.listener.low_space(is_low);
        }
    }

    fn commit_reserved(&mut self, jobs: Vec<Job>, bytes: usize) {
        let mut batch = CommitBatch::new(bytes, self.next_seq, self.synced_seq);
        for job in jobs {
            batch.decide(&self.shared, job);
        }
        let CommitBatch {
            frame,
            staged,
            responses,
            wants_sync,
            ..
        } = batch;
        let is_empty = frame.is_empty();
        // `synced_seq` proves to recovery that all frames up to it were durable before this one was
        // written.
        let frame = frame.seal(self.wal.session(), self.next_seq, self.synced_seq);
        let persisted = if is_empty {
            self.sync_rest(wants_sync)
        } else {
            self.persist(&frame, wants_sync)
        };
        if let Err(error) = persisted {
            self.shared.note_failure(&error);
            let reason = error.to_string();
            responses
                .into_iter()
                .for_each(|response| response.fail(&reason));
            return;
        }
        if is_empty {
            responses.into_iter().for_each(Response::give);
            return;
        }
        // Visible first, then acknowledged: a producer that fetches after its response finds the
        // record.
        let moved = self.publish(&frame, staged);
        self.shared.listener.advanced(&moved);
        responses.into_iter().for_each(Response::give);
        if failpoints::is_on(Bug::AckBeforeSync) {
            drop(self.wal.sync());
        }
        self.wake_flusher();
    }

    /// Reserves space for a commit batch.
    fn reserve(&mut self, bytes: usize) -> Result<(), StorageError> {
        if let Some(reason) = self.shared.poison() {
            return Err(StorageError::Failed(reason.to_owned()));
        }
        let reserved = self.make_room(bytes);
        reserved.inspect_err(|error| self.shared.note_failure(error))
    }

    /// Reserves space in the WAL and in memory. If the flusher is too slow, the writer takes the
    /// checkpoint or flushes itself, which limits producers to the speed of the disk.
    fn make_room(&mut self, bytes: usize) -> Result<(), StorageError> {
        if self.checkpoint_pending {
            self.flusher.checkpoint()?;
            self.checkpoint_pending = false;
        }
        let frame_bytes = FRAME_HEADER_BYTES + bytes;
        let mut reserved = self.wal.reserve(self.next_seq, frame_bytes);
        if reserved == Err(StorageError::WalFull) {
            // A checkpoint in progress may free WAL files; waiting for it is cheaper than taking
            // another one.
            self.flusher.wait_for_checkpoint();
            reserved = self.wal.reserve(self.next_seq, frame_bytes);
        }
        if reserved == Err(StorageError::WalFull) {
            self.flusher.checkpoint()?;
            reserved = self.wal.reserve(self.next_seq, frame_bytes);
        }
        reserved?;
        self.shared.wal_started.store(true, Ordering::Release);
        // Back pressure: unflushed batches cannot leave memory, so write them before accepting
        // more.
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

    /// Syncs earlier frames if a job requires it and they are not synced.
    fn sync_rest(&mut self, wants_sync: bool) -> Result<(), StorageError> {
        let published = self.shared.published();
        if wants_sync && self.synced_seq < published {
            self.wal.sync()?;
            // Also covers frames of earlier commit batches that only reached the page cache in mode
            // `os`.
            self.synced_seq = published;
        }
        Ok(())
    }

    /// Makes a durable frame visible. Returns the partitions whose high watermark moved.
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
                    // Shares the buffer of the frame, so a fetch of recent data needs no copy.
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
                    // The topic first: a concurrent checkpoint that misses the partitions must name
                    // the topic as deleted.
                    lock(&self.shared.garbage).topics.insert(topic);
                    partitions
                        .iter()
                        .for_each(|gone| self.shared.drop_partition(gone));
                }
                Staged::Skipped { partition, range } => partition.state().skip(range),
            }
        }
        // After the tails: `trim` relies on every counted batch being in its tail.
        self.shared.memory.added(added.into_iter());
        self.shared.note_producers(new_producers);
        self.shared
            .publish(self.next_seq, padded_bytes(frame.len()));
        self.next_seq = self.next_seq.next();
        // One notification per partition, however many batches it received.
        moved.sort_unstable();
        moved.dedup();
        moved
    }

    fn wake_flusher(&self) {
        if self.wal.wants_preallocation() {
            self.shared.wake_preallocator.raise(FlusherTask::Flush);
        }
        let config = &self.shared.config;
        if self.shared.wal_bytes_since_checkpoint() > config.checkpoint_bytes {
            self.shared.wake_flusher.raise(FlusherTask::Checkpoint);
        } else if self.shared.memory.unflushed() > config.tail_bytes_max / 2 {
            self.shared.wake_flusher.raise(FlusherTask::Flush);
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
        /// Range in the frame.
        at: Range<usize>,
        /// Without its bytes, which are final only after the frame is sealed.
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
        range: CorruptRange,
    },
}

/// A response that waits for durability.
enum Response {
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

impl Response {
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

/// A commit batch while its jobs are decided.
struct CommitBatch {
    seq: FrameSeq,
    synced_seq: FrameSeq,
    frame: FrameBuilder,
    staged: Vec<Staged>,
    responses: Vec<Response>,
    /// A topic or a job requires a sync that mode `os` would not do.
    wants_sync: bool,
}

impl CommitBatch {
    fn new(bytes: usize, seq: FrameSeq, synced_seq: FrameSeq) -> Self {
        Self {
            seq,
            synced_seq,
            frame: FrameBuilder::new(bytes),
            staged: Vec::new(),
            responses: Vec::new(),
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
                self.responses.push(Response::Append { outcomes, done });
            }
            Job::LogStart {
                target,
                offset,
                done,
            } => {
                let result = self.log_start(shared, target, offset);
                self.responses.push(Response::LogStart { result, done });
            }
            Job::DeleteTopic { topic, done } => {
                self.delete(shared, topic);
                let result = Ok(());
                self.responses.push(Response::Changed { result, done });
            }
            Job::SkipCorruptRange {
                target,
                range,
                done,
            } => {
                let result = self.skip(shared, target, range);
                self.responses.push(Response::Changed { result, done });
            }
            Job::Sync { done } => {
                self.wants_sync = true;
                let result = Ok(());
                self.responses.push(Response::Changed { result, done });
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
            Err(rejected) => return rejected,
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
        range: CorruptRange,
    ) -> Result<(), LogError> {
        let partition = shared.partition(target).ok_or(LogError::UnknownPartition)?;
        self.frame.range_skipped(target, range);
        self.staged.push(Staged::Skipped { partition, range });
        Ok(())
    }

    fn delete(&mut self, shared: &Shared, topic: TopicId) {
        let partitions = shared.partitions_of(topic);
        if partitions.is_empty() {
            return;
        }
        for partition in &partitions {
            // Set before the deletion is durable, so that later jobs of this batch are rejected
            // already.
            partition.state().deleting = true;
        }
        self.frame.topic_deleted(topic);
        self.staged.push(Staged::Deleted { topic, partitions });
    }
}

/// Assigns the offset of a batch, or returns why it is rejected. Holds the partition's lock, so
/// that the check and the assignment are one step.
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
            SequenceCheck::Append => {}
            SequenceCheck::Duplicate { base_offset } => {
                return Err(AppendOutcome::Duplicate {
                    base_offset,
                    log_start,
                });
            }
            SequenceCheck::DuplicateSequence => return Err(AppendOutcome::DuplicateSequence),
            SequenceCheck::OutOfOrder => return Err(AppendOutcome::OutOfOrderSequence),
            SequenceCheck::OldEpoch => return Err(AppendOutcome::InvalidProducerEpoch),
        },
        Origin::Coordinator => {}
    }
    // Checked under the partition's lock, at the moment that decides: a contract that changes
    // afterwards applies to later offsets.
    if append.guard.as_ref().is_some_and(|guard| !guard.holds()) {
        return Err(AppendOutcome::GuardChanged);
    }
    let base_offset = state.next_offset;
    // From here on the batch must become durable, otherwise the log is poisoned: the offset is
    // used.
    state.next_offset = next_offset(base_offset, header);
    if append.origin == Origin::Client {
        state.producers.stage(header, base_offset);
    }
    // The log has no replicas; the epoch only changes when a start may assign offsets a second
    // time.
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
