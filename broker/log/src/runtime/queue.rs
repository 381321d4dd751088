//! Queue of the writer. Jobs that arrive during a sync form the next commit batch (group commit
//! without a timer).

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use avouch_protocol::types::{Offset, TopicId, TopicPartition};

use crate::api::{
    AppendBatch, AppendDone, AppendOutcome, CorruptRange, LogError, LogStartDone, Origin,
};
use crate::locks::lock;
use crate::wal::frame::ENTRY_HEADER_BYTES;

/// Receives the result of a change when it is durable.
pub(crate) type ChangeDone = Box<dyn FnOnce(Result<(), LogError>) + Send>;

/// A change for the writer to make durable.
pub(crate) enum Job {
    Append {
        batches: Vec<AppendBatch>,
        done: AppendDone,
    },
    LogStart {
        target: TopicPartition,
        offset: Offset,
        done: LogStartDone,
    },
    DeleteTopic {
        topic: TopicId,
        done: ChangeDone,
    },
    SkipCorruptRange {
        target: TopicPartition,
        range: CorruptRange,
        done: ChangeDone,
    },
    /// Syncs frames that mode `os` has not synced.
    Sync {
        done: ChangeDone,
    },
}

impl Job {
    /// Returns the maximum bytes of the job in a frame.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Append { batches, .. } => batches
                .iter()
                .map(|batch| batch.batch.len() + ENTRY_HEADER_BYTES)
                .sum(),
            Self::LogStart { .. } => ENTRY_HEADER_BYTES + size_of::<i64>(),
            Self::DeleteTopic { .. } => ENTRY_HEADER_BYTES,
            Self::SkipCorruptRange { .. } => ENTRY_HEADER_BYTES + 2 * size_of::<i64>(),
            Self::Sync { .. } => 0,
        }
    }

    /// Returns whether the job is rejected while disk space is low. Jobs of the broker itself and
    /// those that free space are not.
    pub(crate) fn takes_space(&self) -> bool {
        match self {
            Self::Append { batches, .. } => {
                let is_client = |batch: &AppendBatch| batch.origin == Origin::Client;
                batches.iter().any(is_client)
            }
            Self::LogStart { .. }
            | Self::DeleteTopic { .. }
            | Self::SkipCorruptRange { .. }
            | Self::Sync { .. } => false,
        }
    }

    /// Completes the job with a storage failure.
    pub(crate) fn fail(self, reason: &str) {
        let error = || LogError::StorageFailed(reason.to_owned());
        match self {
            Self::Append { batches, done } => {
                done(vec![AppendOutcome::StorageFailed; batches.len()]);
            }
            Self::LogStart { done, .. } => done(Err(error())),
            Self::DeleteTopic { done, .. }
            | Self::SkipCorruptRange { done, .. }
            | Self::Sync { done } => done(Err(error())),
        }
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Append { batches, .. } => f.debug_tuple("Append").field(batches).finish(),
            Self::LogStart { target, offset, .. } => f
                .debug_tuple("LogStart")
                .field(target)
                .field(offset)
                .finish(),
            Self::DeleteTopic { topic, .. } => f.debug_tuple("DeleteTopic").field(topic).finish(),
            Self::SkipCorruptRange { target, range, .. } => f
                .debug_tuple("SkipCorruptRange")
                .field(target)
                .field(range)
                .finish(),
            Self::Sync { .. } => f.write_str("Sync"),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<QueueState>,
    ready: Condvar,
    bytes: AtomicUsize,
}

#[derive(Debug, Default)]
struct QueueState {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Queue {
    /// Adds a job, or returns it if the log is closed.
    pub(crate) fn push(&self, job: Job) -> Result<(), Job> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(job);
        }
        // A counter for back pressure only; the lock orders the queue itself.
        self.bytes.fetch_add(job.bytes(), Ordering::Relaxed);
        state.jobs.push_back(job);
        // Release the lock before the wake-up, so that the writer does not block on it at once.
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// Returns the next commit batch: jobs of up to `bytes_max`, at least one. Waits for the first
    /// job; returns `None` when the log is closed and the queue is empty.
    pub(crate) fn wait_for_batch(&self, bytes_max: usize) -> Option<Vec<Job>> {
        let mut state = lock(&self.state);
        while state.jobs.is_empty() {
            if state.closed {
                return None;
            }
            state = self
                .ready
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        Some(state.next_batch(bytes_max))
    }

    /// Returns the next commit batch if there is one, for tests without threads.
    #[cfg(test)]
    pub(crate) fn next_batch(&self, bytes_max: usize) -> Option<Vec<Job>> {
        let batch = lock(&self.state).next_batch(bytes_max);
        (!batch.is_empty()).then_some(batch)
    }

    /// Subtracts the bytes of completed jobs.
    pub(crate) fn completed(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Returns the bytes of jobs that are not completed.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Rejects further jobs.
    pub(crate) fn close(&self) {
        // Set under the lock: a later push fails, an earlier one is drained before the writer
        // stops.
        lock(&self.state).closed = true;
        self.ready.notify_all();
    }
}

impl QueueState {
    fn next_batch(&mut self, bytes_max: usize) -> Vec<Job> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.jobs.front() {
            bytes += next.bytes();
            // A single job above the maximum forms a batch of its own: it was accepted and must not
            // starve.
            if bytes > bytes_max && !batch.is_empty() {
                break;
            }
            batch.extend(self.jobs.pop_front());
        }
        batch
    }
}
