//! What waits for the writer. While it syncs, jobs gather here and become the next round: that is
//! the whole of group commit, there is no timer.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use avouch_protocol::types::{Offset, TopicId, TopicPartition};

use crate::api::{AppendBatch, AppendDone, AppendOutcome, Damage, LogError, LogStartDone, Origin};
use crate::locks::lock;
use crate::wal::frame::ENTRY_HEADER_BYTES;

/// Hears that a change without a result is durable.
pub(crate) type ChangeDone = Box<dyn FnOnce(Result<(), LogError>) + Send>;

/// One thing for the writer to make durable.
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
    SkipDamage {
        target: TopicPartition,
        damage: Damage,
        done: ChangeDone,
    },
    /// Syncs what mode `os` has not.
    Sync {
        done: ChangeDone,
    },
}

impl Job {
    /// Bytes it takes in a frame, at most.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Append { batches, .. } => batches
                .iter()
                .map(|batch| batch.batch.len() + ENTRY_HEADER_BYTES)
                .sum(),
            Self::LogStart { .. } => ENTRY_HEADER_BYTES + size_of::<i64>(),
            Self::DeleteTopic { .. } => ENTRY_HEADER_BYTES,
            Self::SkipDamage { .. } => ENTRY_HEADER_BYTES + 2 * size_of::<i64>(),
            Self::Sync { .. } => 0,
        }
    }

    /// Whether it takes space for what others want to keep: all but what the broker itself needs
    /// to go on and what gives space back.
    pub(crate) fn takes_space(&self) -> bool {
        match self {
            Self::Append { batches, .. } => {
                let is_client = |batch: &AppendBatch| batch.origin == Origin::Client;
                batches.iter().any(is_client)
            }
            Self::LogStart { .. }
            | Self::DeleteTopic { .. }
            | Self::SkipDamage { .. }
            | Self::Sync { .. } => false,
        }
    }

    /// Answers that storage failed.
    pub(crate) fn fail(self, reason: &str) {
        let error = || LogError::StorageFailed(reason.to_owned());
        match self {
            Self::Append { batches, done } => {
                done(vec![AppendOutcome::StorageFailed; batches.len()]);
            }
            Self::LogStart { done, .. } => done(Err(error())),
            Self::DeleteTopic { done, .. }
            | Self::SkipDamage { done, .. }
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
            Self::SkipDamage { target, damage, .. } => f
                .debug_tuple("SkipDamage")
                .field(target)
                .field(damage)
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
    /// Queues a job, or gives it back when the log is closed.
    pub(crate) fn push(&self, job: Job) -> Result<(), Job> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(job);
        }
        self.bytes.fetch_add(job.bytes(), Ordering::Relaxed);
        state.jobs.push_back(job);
        drop(state);
        self.ready.notify_one();
        Ok(())
    }

    /// The next round: jobs of up to `bytes_max`, at least one. Waits for the first; `None` once
    /// the log is closed and drained.
    pub(crate) fn wait_for_round(&self, bytes_max: usize) -> Option<Vec<Job>> {
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
        Some(state.round(bytes_max))
    }

    /// The next round if there is one: how tests drive the log without threads.
    #[cfg(test)]
    pub(crate) fn round(&self, bytes_max: usize) -> Option<Vec<Job>> {
        let round = lock(&self.state).round(bytes_max);
        (!round.is_empty()).then_some(round)
    }

    /// Jobs of these bytes are answered.
    pub(crate) fn answered(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes of jobs that are not answered.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Takes no more jobs.
    pub(crate) fn close(&self) {
        lock(&self.state).closed = true;
        self.ready.notify_all();
    }
}

impl QueueState {
    fn round(&mut self, bytes_max: usize) -> Vec<Job> {
        let mut round = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.jobs.front() {
            bytes += next.bytes();
            if bytes > bytes_max && !round.is_empty() {
                break;
            }
            round.extend(self.jobs.pop_front());
        }
        round
    }
}
