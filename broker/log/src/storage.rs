//! Errors of writes: a full disk, which is temporary, and failures, which are final.

use std::io;
use std::path::Path;

use rustix::io::Errno;
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
    /// The process or the system has no free file handle. Nothing was written; a retry can succeed.
    #[error("{0}")]
    NoHandle(String),
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

    /// Returns whether the failed operation can be repeated later.
    pub(crate) fn is_temporary(&self) -> bool {
        !matches!(self, Self::Failed(_))
    }

    /// Creates the error of an operation that must not fail, such as a sync. Only the open of a
    /// file or directory before it fails for lack of a handle.
    pub(crate) fn failed(path: &Path, error: &io::Error) -> Self {
        let text = format!("{}: {error}", path.display());
        let code = error.raw_os_error().map(Errno::from_raw_os_error);
        match code {
            Some(Errno::MFILE | Errno::NFILE) => Self::NoHandle(text),
            _ => Self::Failed(text),
        }
    }
}
