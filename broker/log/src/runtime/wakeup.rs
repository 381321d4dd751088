//! How the flusher is woken: a wish that stays until it is taken.

use std::sync::{Condvar, Mutex, PoisonError};

use crate::locks::lock;

/// What the flusher is to do next; the greatest wish wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    /// Write tails to segments.
    Flush,
    /// Take a checkpoint.
    Checkpoint,
    /// End.
    Stop,
}

#[derive(Debug, Default)]
pub(crate) struct Signal {
    wish: Mutex<Option<Wish>>,
    raised: Condvar,
}

impl Signal {
    pub(crate) fn raise(&self, wish: Wish) {
        let mut current = lock(&self.wish);
        *current = (*current).max(Some(wish));
        drop(current);
        self.raised.notify_one();
    }

    /// Waits for a wish and takes it; `Stop` stays.
    pub(crate) fn wait(&self) -> Wish {
        let mut current = lock(&self.wish);
        loop {
            if let Some(wish) = *current {
                if wish != Wish::Stop {
                    *current = None;
                }
                return wish;
            }
            current = self
                .raised
                .wait(current)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}
