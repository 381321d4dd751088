//! Bugs that tests switch on, to see that the proof of the log notices each of them.
//!
//! Invariant: outside the tests of this crate no bug can be on, and the compiler drops the
//! question.

/// A mistake that an implementation of the log could make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Answers are given once a frame is written, and it is synced then.
    AckBeforeSync,
    /// A failed sync is tried again, and taken for good when it succeeds.
    FailedSyncRetried,
    /// The names of new slots, segments and partitions are not synced.
    NamesNotSynced,
    /// A checkpoint names segments that are not synced.
    SegmentsNotSynced,
    /// The WAL is recycled though the checkpoint that makes it superfluous is not durable.
    CheckpointNotSynced,
    /// What was replayed is served without being synced.
    ReplayNotSynced,
    /// A frame whose header is whole counts, whatever its body is.
    TornFrameAccepted,
    /// Whatever looks like a frame of the right incarnation is taken for one of the slot.
    SaltIgnored,
    /// Batches are read from segments without a look at their CRC.
    ChecksumIgnored,
    /// A checkpoint forgets the sequences of producers.
    ProducersForgotten,
}

/// Whether the code is to behave as if it had `bug`.
#[cfg(not(test))]
pub(crate) const fn is_on(_bug: Bug) -> bool {
    false
}

#[cfg(test)]
pub(crate) use switch::{is_on, with};

#[cfg(test)]
mod switch {
    use super::Bug;
    use std::cell::Cell;

    thread_local! {
        static ON: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    pub(crate) fn is_on(bug: Bug) -> bool {
        ON.get() == Some(bug)
    }

    /// Runs `work` on this thread with the bug, one after the other.
    pub(crate) fn with<T>(bug: Bug, work: impl FnOnce() -> T) -> T {
        ON.set(Some(bug));
        let result = work();
        ON.set(None);
        result
    }
}
