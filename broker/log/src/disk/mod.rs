//! Abstraction of the disk: files with positional reads and writes, and directory entries that are
//! durable only after a sync of their directory.
//!
//! [`RealDisk`] is the operating system's. The tests' simulated disk loses everything that was not
//! synced; random numbers come from it too, so that simulated runs are reproducible.

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

/// Mode of opening a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; it must exist.
    ReadOnly,
    /// For reading and writing; it must exist.
    Existing,
    /// For reading and writing; created if missing, kept otherwise.
    Create,
    /// For reading and writing; created if missing, truncated otherwise.
    Truncate,
}

/// Bytes that a disk writes atomically.
pub const SECTOR_BYTES: usize = 512;

/// Returns an empty buffer for `bytes` that is aligned to a sector.
pub(crate) fn sector_buffer(bytes: usize) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(bytes + SECTOR_BYTES);
    let skipped = buffer.as_ptr().align_offset(SECTOR_BYTES);
    buffer.put_bytes(0, skipped);
    buffer.advance(skipped);
    buffer
}

/// Directories and their entries.
pub trait Disk: Debug + Send + Sync {
    /// Opens a file.
    ///
    /// # Errors
    /// The error of the operating system.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file that is written in complete sectors and seldom read. Bypasses the page cache
    /// where supported, which saves a copy. Writes must start at a multiple of [`SECTOR_BYTES`];
    /// the rest of the last sector may be zeros afterwards.
    ///
    /// # Errors
    /// The error of the operating system.
    fn open_in_sectors(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>>;
    /// Creates a directory and its parents, if missing.
    ///
    /// # Errors
    /// The error of the operating system.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Renames a file, replacing an existing one.
    ///
    /// # Errors
    /// The error of the operating system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// The error of the operating system.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty directory.
    ///
    /// # Errors
    /// The error of the operating system.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Returns the names in a directory, in no order; names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// The error of the operating system.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Syncs the entries of a directory.
    ///
    /// # Errors
    /// The error of the operating system; the caller must not retry.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Returns the free bytes of the file system that holds `path`.
    ///
    /// # Errors
    /// The error of the operating system.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
    /// Returns an unpredictable random number.
    ///
    /// # Errors
    /// The error of the operating system.
    fn salt(&self) -> io::Result<u64>;
    /// Returns whether the path exists.
    fn exists(&self, path: &Path) -> bool;
    /// Returns a handle of the file system of `dir`, to sync all of it; `None` where the system
    /// does not support this. Its sync reports write errors since this call.
    ///
    /// # Errors
    /// The error of the operating system.
    fn file_system(&self, dir: &Path) -> io::Result<Option<Box<dyn FileSystem>>> {
        let _without = dir;
        Ok(None)
    }
}

/// A complete file system.
pub trait FileSystem: Debug + Send + Sync {
    /// Syncs all contents, lengths and names. For thousands of files this is much faster than a
    /// sync of each.
    ///
    /// # Errors
    /// The error of the operating system; the caller must not retry.
    fn sync(&self) -> io::Result<()>;
}

/// One open file.
pub trait DiskFile: Debug + Send + Sync {
    /// Writes all of `bytes` at `at`, extending the file as needed.
    ///
    /// # Errors
    /// The error of the operating system; an unknown part of the bytes is written then.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()>;
    /// Reads at `at` until `into` is full or the file ends; returns the number of bytes.
    ///
    /// # Errors
    /// The error of the operating system.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;
    /// Syncs contents and length.
    ///
    /// # Errors
    /// The error of the operating system. A later call can succeed although the writes before this
    /// one are lost, so the caller must not retry.
    fn sync_data(&self) -> io::Result<()>;
    /// Truncates the file, or extends it with zeros.
    ///
    /// # Errors
    /// The error of the operating system.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// Returns the length of the file.
    ///
    /// # Errors
    /// The error of the operating system.
    fn size_bytes(&self) -> io::Result<u64>;
    /// Returns the file of the operating system, from which the kernel can send data; `None` for
    /// other implementations.
    fn system_file(self: Arc<Self>) -> Option<Arc<File>> {
        None
    }
}

/// The file system of the operating system.
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
        // Not every file system supports O_DIRECT.
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
        // A version 4 UUID has six fixed bits; XOR with the other half makes all 64 bits random.
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

/// Returns the name of the file system of `dir` if it is known to write changed blocks to a new
/// place.
#[cfg(target_os = "linux")]
pub(crate) fn copy_on_write(dir: &Path) -> Option<&'static str> {
    copy_on_write_name(rustix::fs::statfs(dir).ok()?.f_type)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn copy_on_write(_: &Path) -> Option<&'static str> {
    None
}

/// Returns the name of a copy-on-write file system by its number in `statfs`. Extending a WAL file
/// in advance reserves no space for its frames there. XFS copies only blocks that two files share,
/// and overlayfs only files of a lower layer, so neither is one.
#[cfg(any(target_os = "linux", test))]
fn copy_on_write_name<N: TryInto<i64>>(magic: N) -> Option<&'static str> {
    // From statfs(2) and the sources of bcachefs, OpenZFS and NILFS. Some platforms have a signed
    // field of 32 bits, so only these are compared.
    match magic.try_into().ok()? & 0xffff_ffff {
        0x9123_683e => Some("btrfs"),
        0xca45_1a4e => Some("bcachefs"),
        0x2fc1_2fc1 => Some("ZFS"),
        0x3434 => Some("NILFS2"),
        _ => None,
    }
}

/// An open directory. Since Linux 5.8 `syncfs` on it reports every failed write of the file system
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

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: log/27
    #[test]
    fn copy_on_write_file_systems_are_named() {
        let cases: [(i64, Option<&str>); 9] = [
            (0x9123_683e, Some("btrfs")),
            // The same number in a signed field of 32 bits.
            (0x9123_683e - (1 << 32), Some("btrfs")),
            (0xca45_1a4e, Some("bcachefs")),
            (0x2fc1_2fc1, Some("ZFS")),
            (0x3434, Some("NILFS2")),
            // ext4, XFS, tmpfs, overlayfs.
            (0xef53, None),
            (0x5846_5342, None),
            (0x0102_1994, None),
            (0x794c_7630, None),
        ];
        for (magic, expected) in cases {
            assert_eq!(copy_on_write_name(magic), expected, "{magic:#x}");
        }
    }
}
