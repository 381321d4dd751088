//! Errors of writes: a full disk, which is temporary, and failures, which are final.

use std::io;
use std::path::Path;

use thiserror::Error;

/// The reason of a failed write.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum StorageError {
    /// No space left. Nothing was made durable and nothing was lost.
    #[error("no space left on the disk")]
    Full,
    /// The WAL has its maximum size and no file of it can be recycled yet.
    #[error("the write-ahead log is full")]
    WalFull,
    /// Any other failure. The state of the disk is unknown, so the log must stop.
    #[error("{0}")]
    Failed(String),
}

impl StorageError {
    /// Classifies the error of an operation that allocates space.
    pub(crate) fn of(path: &Path, error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full,
            _ => Self::failed(path, error),
        }
    }

    /// Creates the error of an operation that must not fail, such as a sync.
    pub(crate) fn failed(path: &Path, error: &io::Error) -> Self {
        Self::Failed(format!("{}: {error}", path.display()))
    }
}
