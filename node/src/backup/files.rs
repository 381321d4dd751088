//! Copies of files, with the size and the CRC-32C of what was written. Each copy is synced.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use avouch_protocol::batch::Crc32c;
use thiserror::Error;

const BUFFER_BYTES: usize = 1 << 20;
/// Backups contain records, which only the user of the node may read.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// A file of a backup that cannot be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file system returned an error.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        error: io::Error,
    },
    /// The file is shorter than expected.
    #[error("{}: {found} bytes; expected {expected}", path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// The expected size.
        expected: u64,
    },
    /// The node stops.
    #[error("the node stops")]
    Stopped,
}

impl FileError {
    /// Returns a function that adds the path to an error.
    pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |error| Self::Io {
            path: path.to_owned(),
            error,
        }
    }
}

/// Size and checksum of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileSum {
    pub(super) bytes: u64,
    pub(super) crc32c: u32,
}

/// Progress of copies, read by other threads. No data is published with the counters.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) files: AtomicU64,
    pub(super) bytes: AtomicU64,
    pub(super) bytes_expected: AtomicU64,
    is_stopped: AtomicBool,
}

impl Progress {
    /// Makes the current copy fail with [`FileError::Stopped`].
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }
}

/// Creates a directory with its parents, for the current user only.
pub(super) fn create_dir(path: &Path) -> Result<(), FileError> {
    let mut builder = DirBuilder::new();
    let created = builder.recursive(true).mode(DIRECTORY_MODE).create(path);
    created.map_err(FileError::at(path))
}

/// Returns whether a directory is empty, `None` if it does not exist.
pub(super) fn is_empty(path: &Path) -> Result<Option<bool>, FileError> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(Some(entries.next().is_none())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::at(path)(error)),
    }
}

/// Removes a directory that was created for a backup, or else everything in it.
pub(super) fn remove(path: &Path, is_new: bool) -> io::Result<()> {
    if is_new {
        return fs::remove_dir_all(path);
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => fs::remove_dir_all(entry.path())?,
            false => fs::remove_file(entry.path())?,
        }
    }
    Ok(())
}

pub(super) fn sync_dir(path: &Path) -> Result<(), FileError> {
    let synced = File::open(path).and_then(|dir| dir.sync_all());
    synced.map_err(FileError::at(path))
}

/// Writes the new file `to`.
pub(super) fn write(to: &Path, content: &[u8], progress: &Progress) -> Result<FileSum, FileError> {
    let written = create(to).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written.map_err(FileError::at(to))?;
    let mut crc = Crc32c::default();
    crc.update(content);
    let bytes = content.len() as u64;
    progress.files.fetch_add(1, Ordering::Relaxed);
    progress.bytes.fetch_add(bytes, Ordering::Relaxed);
    let crc32c = crc.sum();
    Ok(FileSum { bytes, crc32c })
}

/// Copies the first `bytes` bytes of `from` into the new file `to`.
pub(super) fn copy(
    from: &Path,
    bytes: u64,
    to: &Path,
    progress: &Progress,
) -> Result<FileSum, FileError> {
    let mut target = create(to).map_err(FileError::at(to))?;
    let sum = read(from, bytes, progress, |chunk| {
        target.write_all(chunk).map_err(FileError::at(to))
    })?;
    target.sync_all().map_err(FileError::at(to))?;
    progress.files.fetch_add(1, Ordering::Relaxed);
    Ok(sum)
}

/// Restricts a file that a database wrote to the current user, syncs it and returns its sum.
pub(super) fn adopt(path: &Path, progress: &Progress) -> Result<FileSum, FileError> {
    use std::os::unix::fs::PermissionsExt as _;
    let restricted = fs::set_permissions(path, fs::Permissions::from_mode(FILE_MODE));
    restricted.map_err(FileError::at(path))?;
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(FileError::at(path))?;
    let sum = sum(path, progress)?;
    progress.files.fetch_add(1, Ordering::Relaxed);
    Ok(sum)
}

/// Returns size and checksum of a file.
pub(super) fn sum(path: &Path, progress: &Progress) -> Result<FileSum, FileError> {
    let size = fs::metadata(path).map_err(FileError::at(path))?.len();
    read(path, size, progress, |_| Ok(()))
}

/// Reads the first `bytes` bytes of a file in chunks, and returns their sum.
fn read(
    path: &Path,
    bytes: u64,
    progress: &Progress,
    mut see: impl FnMut(&[u8]) -> Result<(), FileError>,
) -> Result<FileSum, FileError> {
    let file = File::open(path).map_err(FileError::at(path))?;
    let mut limited = file.take(bytes);
    // A small file needs no large buffer.
    let size = usize::try_from(bytes.max(1)).map_or(BUFFER_BYTES, |size| size.min(BUFFER_BYTES));
    let mut buffer = vec![0; size];
    let mut crc = Crc32c::default();
    let mut found = 0;
    loop {
        if progress.is_stopped() {
            return Err(FileError::Stopped);
        }
        let count = match limited.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(FileError::at(path))?,
        };
        let chunk = buffer.get(..count).unwrap_or_default();
        if chunk.is_empty() {
            break;
        }
        see(chunk)?;
        crc.update(chunk);
        found += chunk.len() as u64;
        let count = chunk.len() as u64;
        progress.bytes.fetch_add(count, Ordering::Relaxed);
    }
    if found < bytes {
        return Err(FileError::Short {
            path: path.to_owned(),
            found,
            expected: bytes,
        });
    }
    let crc32c = crc.sum();
    Ok(FileSum {
        bytes: found,
        crc32c,
    })
}

fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
}
