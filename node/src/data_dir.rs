//! Data directory lock and format check: one process at a time, and no older software on newer
//! data. A rejected start does not change the disk.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process;

use thiserror::Error;

/// The newest layout that this build reads. It is incremented when older builds must not open a
/// directory any more.
pub(crate) const FORMAT: u32 = 1;
pub(crate) const FORMAT_FILE: &str = "FORMAT";
const LOCK_FILE: &str = "LOCK";
/// Content of the format file while a backup is restored, which rejects every start.
const INCOMPLETE: &str = "incomplete restore";

/// A data directory that cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum DataDirError {
    /// Another process has locked the directory.
    #[error("data directory {} is in use by another avouch{holder}", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process id in parentheses after a space, or nothing if it is unknown.
        holder: String,
    },
    /// The directory has a format that this version does not read.
    #[error(
        "data directory {} was written by a newer avouch (format {found}, this one reads {FORMAT})",
        path.display()
    )]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// The format file contains no number.
    #[error("data directory {} has an unreadable {FORMAT_FILE} file: {content:?}", path.display())]
    InvalidFormat {
        /// The directory.
        path: PathBuf,
        /// The content of the file.
        content: String,
    },
    /// The directory cannot be created, read, locked or written.
    #[error("data directory {} cannot be used: {error}", path.display())]
    Io {
        /// The directory.
        path: PathBuf,
        /// The operating system's error.
        error: io::Error,
    },
}

/// A data directory that was checked and can be claimed; the disk is unchanged.
#[derive(Debug)]
pub(crate) struct Candidate {
    path: PathBuf,
    lock: Option<File>,
    dir: Option<File>,
}

/// A data directory that this process holds until this is dropped.
#[derive(Debug)]
pub struct DataDir {
    _lock: File,
    _dir: Option<File>,
}

impl DataDir {
    /// Locks the directory at `path`, which is created if it is missing, for a command that changes
    /// it while no node runs on it.
    ///
    /// # Errors
    /// When another process holds the directory, its data is of a newer version, or it cannot be
    /// created or written.
    pub fn lock(path: &Path) -> Result<Self, DataDirError> {
        inspect(path)?.claim()
    }
}

/// Creates the directory if it is missing, and keeps nodes out of it until the result is dropped.
///
/// # Errors
/// When a node holds the directory, or it cannot be created.
pub(crate) fn lock_for_restore(path: &Path) -> Result<Option<File>, DataDirError> {
    create_directories(path).map_err(|error| io_error(path, error))?;
    lock_directory(path)
}

/// Marks the directory, so that no start succeeds before [`end_restore`].
///
/// # Errors
/// When the directory cannot be written.
pub(crate) fn begin_restore(path: &Path) -> Result<(), DataDirError> {
    write_format(path, INCOMPLETE).map_err(|error| io_error(path, error))
}

/// Marks the restored directory as complete, durably.
///
/// # Errors
/// When the directory cannot be written.
pub(crate) fn end_restore(path: &Path) -> Result<(), DataDirError> {
    write_format(path, &FORMAT.to_string()).map_err(|error| io_error(path, error))
}

/// Checks `path`, which need not exist, and takes its lock if there is a lock file.
///
/// # Errors
/// When another process holds the directory, or its data is of a newer version.
pub(crate) fn inspect(path: &Path) -> Result<Candidate, DataDirError> {
    let lock = match OpenOptions::new()
        .read(true)
        .write(true)
        .open(path.join(LOCK_FILE))
    {
        Ok(file) => Some(locked(path, file)?),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(io_error(path, error)),
    };
    let dir = if path.exists() {
        lock_directory(path)?
    } else {
        None
    };
    // Before anything is written: a newer directory must stay as it is.
    format(path)?;
    Ok(Candidate {
        path: path.to_owned(),
        lock,
        dir,
    })
}

impl Candidate {
    /// Creates the directory if it is missing, takes its lock, and writes its format.
    ///
    /// # Errors
    /// As [`inspect`], and when the directory cannot be created or written.
    pub(crate) fn claim(self) -> Result<DataDir, DataDirError> {
        let Self { path, lock, dir } = self;
        let lock = match lock {
            Some(lock) => lock,
            None => locked(
                &path,
                create(&path).map_err(|error| io_error(&path, error))?,
            )?,
        };
        let dir = match dir {
            Some(dir) => Some(dir),
            None => lock_directory(&path)?,
        };
        // Read again under the lock: another process may have written it since `inspect`.
        let found = format(&path)?;
        if let Err(error) = write_holder(&lock) {
            // The process id is only for messages, and a full disk must not prevent a start.
            tracing::warn!(%error, "cannot write the process id into {LOCK_FILE}");
        }
        if found.is_none() {
            write_format(&path, &FORMAT.to_string()).map_err(|error| io_error(&path, error))?;
        }
        Ok(DataDir {
            _lock: lock,
            _dir: dir,
        })
    }
}

/// Returns the format of the directory, `None` if it is not written yet.
fn format(path: &Path) -> Result<Option<u32>, DataDirError> {
    let content = match fs::read_to_string(path.join(FORMAT_FILE)) {
        Ok(content) => content,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error(path, error)),
    };
    match content.trim().parse::<u32>() {
        Ok(found) if found > FORMAT => Err(DataDirError::Newer {
            path: path.to_owned(),
            found,
        }),
        Ok(found) => Ok(Some(found)),
        Err(_) => Err(DataDirError::InvalidFormat {
            path: path.to_owned(),
            content,
        }),
    }
}

fn create(path: &Path) -> io::Result<File> {
    create_directories(path)?;
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path.join(LOCK_FILE))
}

/// Creates the directory and its missing parents. Without the syncs a power cut could remove the
/// name of the whole directory, with everything that was acknowledged in it.
fn create_directories(path: &Path) -> io::Result<()> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let missing: Vec<&Path> = path.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(path)?;
    for created in missing {
        let parent = created.parent().filter(|path| !path.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn locked(path: &Path, file: File) -> Result<File, DataDirError> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let pid = io::read_to_string(&file).unwrap_or_default();
            let holder = match pid.trim() {
                "" => String::new(),
                pid => format!(" (pid {pid})"),
            };
            Err(DataDirError::InUse {
                path: path.to_owned(),
                holder,
            })
        }
        Err(TryLockError::Error(error)) => Err(io_error(path, error)),
    }
}

/// Locks the directory itself, which rejects a second process even if the lock file was removed.
/// Returns `None` on file systems that cannot lock a directory.
fn lock_directory(path: &Path) -> Result<Option<File>, DataDirError> {
    let dir = File::open(path).map_err(|error| io_error(path, error))?;
    match dir.try_lock() {
        Ok(()) => Ok(Some(dir)),
        Err(TryLockError::WouldBlock) => Err(DataDirError::InUse {
            path: path.to_owned(),
            holder: String::new(),
        }),
        // NFS, for example, locks only files that are open for writing.
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// Writes the process id for error messages. The lock itself is the kernel's and ends with the
/// process.
fn write_holder(mut lock: &File) -> io::Result<()> {
    lock.set_len(0)?;
    writeln!(lock, "{}", process::id())
}

/// Writes the format to a draft and renames it, so that a crash leaves no partial file.
fn write_format(path: &Path, format: &str) -> io::Result<()> {
    let draft = path.join(format!("{FORMAT_FILE}.draft"));
    let mut file = File::create(&draft)?;
    writeln!(file, "{format}")?;
    file.sync_all()?;
    fs::rename(&draft, path.join(FORMAT_FILE))?;
    // The rename is durable only after the directory is synced.
    File::open(path)?.sync_all()
}

fn io_error(path: &Path, error: io::Error) -> DataDirError {
    DataDirError::Io {
        path: path.to_owned(),
        error,
    }
}

#[cfg(test)]
mod tests {
    use tempfile::tempdir;

    use super::*;

    #[test]
    fn second_claim_fails_and_names_the_holder() {
        let root = tempdir().unwrap();
        let path = root.path().join("deep/data");
        let held = inspect(&path).unwrap().claim().unwrap();

        let error = inspect(&path).unwrap_err().to_string();
        assert!(error.contains(&format!("in use by another avouch (pid {})", process::id())));

        drop(held);
        inspect(&path).unwrap().claim().unwrap();
    }

    #[test]
    fn removed_lock_file_admits_no_second_process() {
        let root = tempdir().unwrap();
        let held = inspect(root.path()).unwrap().claim().unwrap();
        fs::remove_file(root.path().join(LOCK_FILE)).unwrap();
        let error = inspect(root.path()).unwrap_err();
        assert!(matches!(error, DataDirError::InUse { .. }), "{error}");
        assert!(!root.path().join(LOCK_FILE).exists());
        drop(held);
        inspect(root.path()).unwrap().claim().unwrap();
    }

    // Nothing can be written to /dev/full, as on a full copy-on-write file system.
    #[cfg(target_os = "linux")]
    #[test]
    fn unwritable_process_id_does_not_prevent_start() {
        let root = tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", root.path().join(LOCK_FILE)).unwrap();
        inspect(root.path()).unwrap().claim().unwrap();
    }

    #[test]
    fn inspect_does_not_change_the_disk() {
        let root = tempdir().unwrap();
        let path = root.path().join("data");
        inspect(&path).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn newer_or_invalid_formats_are_rejected() {
        for (content, expected) in [("2\n", "by a newer avouch (format 2"), ("x", "unreadable")] {
            let root = tempdir().unwrap();
            fs::write(root.path().join(FORMAT_FILE), content).unwrap();
            let error = inspect(root.path()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn uncreatable_directory_is_an_io_error() {
        let root = tempdir().unwrap();
        let file = root.path().join("file");
        fs::write(&file, "").unwrap();
        let result = inspect(&file.join("data")).and_then(Candidate::claim);
        assert!(matches!(result, Err(DataDirError::Io { .. })), "{result:?}");
    }
}
