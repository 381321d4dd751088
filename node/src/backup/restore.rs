//! Restores a backup into an empty data directory. The backup is verified first, and the format
//! file is written last, so that no node starts on a part of it.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::files::{self, FileError, Progress};
use super::manifest::{BadBackup, DATA, Manifest, verify_backup};
use crate::data_dir::{self, DataDirError};

/// The reason why a backup was not restored. The data directory is as it was before.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The backup cannot be used.
    #[error(transparent)]
    Backup(#[from] BadBackup),
    /// The data directory has files.
    #[error("data directory {} is not empty", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A file cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Copies the backup in `from` into `data_dir`, which does not exist or is empty, and returns its
/// manifest.
///
/// # Errors
/// See [`RestoreError`].
pub fn restore(from: &Path, data_dir: &Path) -> Result<Manifest, RestoreError> {
    // Also before the backup is read, which can take long.
    require_empty(data_dir)?;
    let manifest = verify_backup(from)?;
    let is_new = !data_dir.exists();
    let _locked = data_dir::lock_for_restore(data_dir)?;
    // Under the lock: a node may have used the directory since the first check.
    require_empty(data_dir)?;
    let copied = copy(&manifest, &from.join(DATA), data_dir);
    if copied.is_err() {
        // If this fails too, the format file rejects a start on the rest.
        drop(files::remove(data_dir, is_new));
    }
    copied.map(|()| manifest)
}

fn require_empty(path: &Path) -> Result<(), RestoreError> {
    match files::is_empty(path)? {
        None | Some(true) => Ok(()),
        Some(false) => Err(RestoreError::NotEmpty {
            path: path.to_owned(),
        }),
    }
}

fn copy(manifest: &Manifest, data: &Path, data_dir: &Path) -> Result<(), RestoreError> {
    data_dir::begin_restore(data_dir)?;
    let progress = Progress::default();
    let directories = manifest.directories(data_dir);
    for directory in &directories {
        files::create_dir(directory)?;
    }
    for file in &manifest.files {
        let (from, to) = (data.join(&file.name), data_dir.join(&file.name));
        let sum = files::copy(&from, file.bytes, &to, &progress)?;
        // The file may have changed since it was verified.
        file.check(&from, sum)?;
    }
    for directory in &directories {
        files::sync_dir(directory)?;
    }
    Ok(data_dir::end_restore(data_dir)?)
}
