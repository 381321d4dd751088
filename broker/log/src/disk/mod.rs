//! The disk as the log sees it: files with positional reads and writes, and names that are durable
//! only after their directory was synced.
//!
//! The second implementation is the tests' simulated disk, which loses whatever was not synced.
//! Randomness comes from it too, so that simulated runs repeat. Knows nothing of what is stored.

#[cfg(target_os = "linux")]
pub(crate) mod page_cache;
mod sectors;

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, BytesMut};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; it must exist.
    ReadOnly,
    /// For reading and writing; it must exist.
    Existing,
    /// For reading and writing; made when missing, kept when there.
    Create,
    /// For reading and writing; made when missing, emptied when there.
    Truncate,
}

/// What a disk writes whole or not at all.
pub const SECTOR_BYTES: usize = 512;

/// An empty buffer with room for `bytes`, which begins where a sector may.
pub(crate) fn sector_buffer(bytes: usize) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(bytes + SECTOR_BYTES);
    let skipped = buffer.as_ptr().align_offset(SECTOR_BYTES);
    buffer.put_bytes(0, skipped);
    buffer.advance(skipped);
    buffer
}

/// Directories and names.
pub trait Disk: Debug + Send + Sync {
    /// Opens a file.
    ///
    /// # Errors
    /// As the system says.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file that is written in whole sectors and seldom read: where the system can, around
    /// its page cache, which costs a copy and some work for each page. A write begins at a multiple
    /// of [`SECTOR_BYTES`]; what stands behind it in its last sector may be zeros afterwards.
    ///
    /// # Errors
    /// As the system says.
    fn open_in_sectors(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// Makes a directory and its parents; fine when it is there.
    ///
    /// # Errors
    /// As the system says.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Gives a file another name, replacing what had it.
    ///
    /// # Errors
    /// As the system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// As the system says.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    ///
    /// # Errors
    /// As the system says.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Names in a directory, in no order; names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// As the system says.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// As the system says; never retried.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Bytes that files may still grow by on the file system that holds `path`.
    ///
    /// # Errors
    /// As the system says.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
    /// A number that nobody can foretell, another one each time.
    ///
    /// # Errors
    /// As the system says.
    fn salt(&self) -> io::Result<u64>;
    /// Whether something has this name.
    fn exists(&self, path: &Path) -> bool;
    /// All of the file system that `dir` is on, to be synced at one go; `None` where the system
    /// cannot do that. Failures of writes from now on are told by it.
    ///
    /// # Errors
    /// As the system says.
    fn file_system(&self, dir: &Path) -> io::Result<Option<Box<dyn FileSystem>>> {
        let _without = dir;
        Ok(None)
    }
}

/// A whole file system.
pub trait FileSystem: Debug + Send + Sync {
    /// Makes everything on it durable: contents, lengths and names. For thousands of files this
    /// takes a fraction of the time that as many syncs take.
    ///
    /// # Errors
    /// As the system says; never retried.
    fn sync(&self) -> io::Result<()>;
}

/// One open file.
pub trait DiskFile: Debug + Send + Sync {
    /// Writes all of `bytes` at `at`, growing the file as needed.
    ///
    /// # Errors
    /// As the system says; how much was written is then unknown.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Reads at `at` until `into` is full or the file ends; returns the bytes read.
    ///
    /// # Errors
    /// As the system says.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;
    /// Makes contents and length durable.
    ///
    /// # Errors
    /// As the system says; what was written since the last success may then be lost even if a
    /// later call succeeds, so it is never retried.
    fn sync_data(&self) -> io::Result<()>;
    /// Cuts or grows (with zeros) the file.
    ///
    /// # Errors
    /// As the system says.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// The length of the file.
    ///
    /// # Errors
    /// As the system says.
    fn size_bytes(&self) -> io::Result<u64>;
    /// The system's own file, out of which it sends by itself what was written; `None` where there
    /// is none.
    fn system_file(self: Arc<Self>) -> Option<Arc<File>> {
        None
    }
}

/// The machine's own file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(mode != OpenMode::ReadOnly);
        match mode {
            OpenMode::ReadOnly | OpenMode::Existing => {}
            OpenMode::Create => {
                options.create(true).truncate(false);
            }
            OpenMode::Truncate => {
                options.create(true).truncate(true);
            }
        }
        Ok(Arc::new(options.open(path)?))
    }

    #[cfg(not(target_os = "linux"))]
    fn open_in_sectors(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        self.open(path, mode)
    }

    #[cfg(target_os = "linux")]
    fn open_in_sectors(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let file = self.open(path, mode)?;
        let around_cache = OpenOptions::new()
            .write(true)
            .custom_flags(rustix::fs::OFlags::DIRECT.bits().cast_signed())
            .open(path);
        // Not every file system can.
        Ok(match around_cache {
            Ok(direct) => Arc::new(sectors::SectorFile::new(file, direct)),
            Err(_) => file,
        })
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(path)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let space = rustix::fs::statvfs(path)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    fn salt(&self) -> io::Result<u64> {
        // Each half of a random UUID has some bits that are not; the other's are in their place.
        let (high, low) = uuid::Uuid::new_v4().as_u64_pair();
        Ok(high ^ low)
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    #[cfg(target_os = "linux")]
    fn file_system(&self, dir: &Path) -> io::Result<Option<Box<dyn FileSystem>>> {
        Ok(Some(Box::new(Mounted(File::open(dir)?))))
    }
}

/// A directory held open: since Linux 5.8 its `syncfs` tells every failed write of its file system
/// since it was opened.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Mounted(File);

#[cfg(target_os = "linux")]
impl FileSystem for Mounted {
    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::syncfs(&self.0)?)
    }
}

impl DiskFile for File {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = into.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match FileExt::read_at(self, rest, at + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        Self::set_len(self, bytes)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    #[cfg(target_os = "linux")]
    fn system_file(self: Arc<Self>) -> Option<Arc<File>> {
        Some(self)
    }
}
