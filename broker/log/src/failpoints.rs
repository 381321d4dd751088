//! Bugs that tests enable, to verify that the crash tests detect each of them.
//!
//! Invariant: outside the tests of this crate [`is_on`] is the constant false.

/// A bug that an implementation of the log could have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// Appends are acknowledged after the write and before the sync.
    AckBeforeSync,
    /// A failed sync is retried, and a success of the second try is accepted.
    FailedSyncRetried,
    /// The directory entries of new WAL files, segments and partitions are not synced.
    NamesNotSynced,
    /// A checkpoint names segments that are not synced.
    SegmentsNotSynced,
    /// WAL files are recycled although the checkpoint that replaces them is not durable.
    CheckpointNotSynced,
    /// Replayed frames are served without being synced.
    ReplayNotSynced,
    /// A frame with a valid header is accepted without a check of its body.
    TornFrameAccepted,
    /// A frame of the right incarnation is accepted with any salt.
    SaltIgnored,
    /// Batches are read from segments without a check of their CRC.
    ChecksumIgnored,
    /// A checkpoint contains no producer state.
    ProducersForgotten,
}

/// Returns whether `bug` is enabled.
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

    /// Runs `work` on this thread with `bug` enabled.
    pub(crate) fn with<T>(bug: Bug, work: impl FnOnce() -> T) -> T {
        ON.set(Some(bug));
        let result = work();
        ON.set(None);
        result
    }
}
