//! Why a write could not be done: the disk is full, which passes, or it failed, which does not.

use std::io;
use std::path::Path;

use thiserror::Error;

/// The outcome of a failed write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum StorageError {
    /// No space left; nothing was made durable and nothing was lost.
    #[error("no space left on the disk")]
    Full,
    /// The WAL has reached its size and none of it can be recycled yet.
    #[error("the write-ahead log is full")]
    WalFull,
    /// Anything else. What is on disk is unknown: the log must not go on.
    #[error("{0}")]
    Failed(String),
}

impl StorageError {
    /// Sorts an error of a step that reserves or fills space.
    pub(crate) fn of(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::failed(path, error),
        }
    }

    /// An error of a step that must not fail, such as a sync.
    pub(crate) fn failed(path: &Path, error: &io::Error) -> Self {
        Self::Failed(format!("{}: {error}", path.display()))
    }
}
