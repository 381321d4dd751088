//! Latched wake-up of a thread; the highest pending task wins.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::locks::lock;

/// Task of the flusher, lowest priority first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FlusherTask {
    /// Write tails to segments.
    Flush,
    /// Take a checkpoint.
    Checkpoint,
    /// Stop the thread.
    Stop,
}

#[derive(Debug, Default)]
pub(crate) struct Wakeup {
    task: Mutex<Option<FlusherTask>>,
    raised: Condvar,
}

impl Wakeup {
    pub(crate) fn raise(&self, task: FlusherTask) {
        let mut current = lock(&self.task);
        // A pending checkpoint also flushes, and a pending stop must not be replaced, so keep the
        // maximum.
        *current = (*current).max(Some(task));
        drop(current);
        self.raised.notify_one();
    }

    /// Waits for a task and removes it; `Stop` remains.
    pub(crate) fn wait(&self) -> FlusherTask {
        let mut current = lock(&self.task);
        loop {
            if let Some(task) = *current {
                // `Stop` stays set for the case that several threads wait.
                if task != FlusherTask::Stop {
                    *current = None;
                }
                return task;
            }
            current = self
                .raised
                .wait(current)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}
