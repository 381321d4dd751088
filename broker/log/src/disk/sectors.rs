//! Direct I/O: writes that bypass the page cache, in complete sectors from aligned memory. Small
//! unaligned writes are copied; others, and those that the system rejects, use the page cache.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut as _, BytesMut};

use super::{DiskFile, SECTOR_BYTES, sector_buffer};

/// Maximum bytes that are copied into an aligned buffer.
const COPIED_BYTES_MAX: usize = 64 << 10;

/// A file, opened with and without direct I/O.
#[derive(Debug)]
pub(super) struct SectorFile {
    cached: Arc<dyn DiskFile>,
    direct: File,
    /// Whether the system rejected direct I/O on this file.
    is_unsupported: AtomicBool,
    /// Buffer for unaligned writes, reused.
    copied: Mutex<BytesMut>,
}

impl SectorFile {
    pub(super) fn new(cached: Arc<dyn DiskFile>, direct: File) -> Self {
        Self {
            cached,
            direct,
            is_unsupported: AtomicBool::new(false),
            copied: Mutex::new(sector_buffer(0)),
        }
    }

    /// Writes with direct I/O if possible. Returns false if the write has to use the page cache.
    fn write_directly(&self, bytes: &[u8], at: u64) -> io::Result<bool> {
        let is_whole = |number: usize| number.is_multiple_of(SECTOR_BYTES);
        if !at.is_multiple_of(SECTOR_BYTES as u64) || self.is_unsupported.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let written = if is_whole(bytes.as_ptr().addr()) && is_whole(bytes.len()) {
            self.direct.write_all_at(bytes, at)
        } else if bytes.len() <= COPIED_BYTES_MAX {
            let mut copied = self.copied.lock().unwrap_or_else(PoisonError::into_inner);
            let whole = bytes.len().next_multiple_of(SECTOR_BYTES);
            if copied.capacity() < whole {
                *copied = sector_buffer(COPIED_BYTES_MAX);
            }
            copied.clear();
            copied.put_slice(bytes);
            // Zeros after the data are allowed: the next frame starts at the following sector.
            copied.put_bytes(0, whole - bytes.len());
            self.direct.write_all_at(&copied, at)
        } else {
            return Ok(false);
        };
        match written {
            Err(error) if is_unsupported_error(error.kind()) => {
                tracing::debug!(%error, "the file system does not support direct I/O");
                self.is_unsupported.store(true, Ordering::Relaxed);
                Ok(false)
            }
            written => written.map(|()| true),
        }
    }
}

// The sectors of the device may be larger than 512 bytes, or direct I/O may be unsupported.
fn is_unsupported_error(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
    )
}

impl DiskFile for SectorFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        if self.write_directly(bytes, at)? {
            return Ok(());
        }
        self.cached.write_at(bytes, at)
    }

    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.cached.read_at(into, at)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.cached.sync_data()
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.cached.set_len(bytes)
    }

    fn size_bytes(&self) -> io::Result<u64> {
        self.cached.size_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Disk as _, OpenMode, RealDisk};
    use super::*;

    /// Runs on the file system of the temporary directory, with or without direct I/O.
    // Conformance: log-proof/16
    #[test]
    fn sector_writes_read_back_at_any_alignment() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let file = RealDisk.open_in_sectors(&path, OpenMode::Create).unwrap();
        let mut even = sector_buffer(4 * SECTOR_BYTES);
        even.put_bytes(7, 4 * SECTOR_BYTES);
        let long = vec![9; COPIED_BYTES_MAX + 100];
        let writes: [(&[u8], u64); 5] = [
            (&even, 0),
            (&even[..700], 4 * 512),
            (&even[1..600], 6 * 512),
            (&long, 8 * 512),
            (&even, 8 * 512 + long.len() as u64),
        ];
        for (bytes, at) in writes {
            file.write_at(bytes, at).unwrap();
            let mut read = vec![0; bytes.len()];
            assert_eq!(file.read_at(&mut read, at).unwrap(), bytes.len());
            assert_eq!(read, bytes, "at {at}");
        }
        file.sync_data().unwrap();
        let expected = 8 * 512 + (long.len() + even.len()) as u64;
        assert_eq!(file.size_bytes().unwrap(), expected);
    }
}
