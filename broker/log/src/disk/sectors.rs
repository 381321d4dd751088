//! Writes around the page cache: whole sectors, out of memory that begins where a sector may. Bytes
//! that begin elsewhere or end amid a sector are copied, if they are few; what the system refuses
//! goes through the page cache after all.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{BufMut as _, BytesMut};

use super::{DiskFile, SECTOR_BYTES, sector_buffer};

/// More than this is not copied.
const COPIED_BYTES_MAX: usize = 64 << 10;

/// A file, opened twice.
#[derive(Debug)]
pub(super) struct SectorFile {
    cached: Arc<dyn DiskFile>,
    direct: File,
    /// The system takes no write around its cache.
    is_refused: AtomicBool,
    /// What was copied last, for its memory.
    copied: Mutex<BytesMut>,
}

impl SectorFile {
    pub(super) fn new(cached: Arc<dyn DiskFile>, direct: File) -> Self {
        Self {
            cached,
            direct,
            is_refused: AtomicBool::new(false),
            copied: Mutex::new(sector_buffer(0)),
        }
    }

    /// Whether the write was done; if not, it has to go through the cache.
    fn write_directly(&self, bytes: &[u8], at: u64) -> io::Result<bool> {
        let is_whole = |number: usize| number.is_multiple_of(SECTOR_BYTES);
        if !at.is_multiple_of(SECTOR_BYTES as u64) || self.is_refused.load(Ordering::Relaxed) {
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
            copied.put_bytes(0, whole - bytes.len());
            self.direct.write_all_at(&copied, at)
        } else {
            return Ok(false);
        };
        match written {
            Err(error) if is_refusal(error.kind()) => {
                tracing::debug!(%error, "the file system takes no writes around its cache");
                self.is_refused.store(true, Ordering::Relaxed);
                Ok(false)
            }
            written => written.map(|()| true),
        }
    }
}

/// Sectors may be larger than ours, or there may be no such writes at all.
fn is_refusal(kind: io::ErrorKind) -> bool {
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

    /// On whatever file system temporary files are on: the bytes are the same either way.
    // Conformance: log-proof/16
    #[test]
    fn what_is_written_in_sectors_reads_back_whatever_its_size_and_address() {
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
