//! Reads of file ranges: from the page cache without waiting for the disk, and in full.

use std::io;
#[cfg(target_os = "linux")]
use std::io::IoSliceMut;
use std::os::unix::fs::FileExt as _;

use avouch_protocol::chunk::FileRange;
use bytes::Bytes;
#[cfg(target_os = "linux")]
use rustix::io::ReadWriteFlags;

/// Distance between the bytes that [`is_cached`] probes. The kernel fills and evicts the page cache
/// in units of about this size.
#[cfg(target_os = "linux")]
const PROBE_BYTES: usize = 128 << 10;

/// Returns whether the page cache appears to hold the whole range, so that sending it does not wait
/// for the disk. Probes one byte in every `PROBE_BYTES`, and the last one.
#[cfg(target_os = "linux")]
#[must_use]
pub fn is_cached(range: &FileRange) -> bool {
    let is_present = |skip: usize| {
        let mut byte = [0];
        let slices = &mut [IoSliceMut::new(&mut byte)];
        let at = range.at + skip as u64;
        let read = rustix::io::preadv2(&range.file, slices, at, ReadWriteFlags::NOWAIT);
        read == Ok(1)
    };
    let last = range.bytes.saturating_sub(1);
    (0..range.bytes).step_by(PROBE_BYTES).all(is_present) && is_present(last)
}

/// Returns false: other systems cannot report what the page cache holds.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn is_cached(_: &FileRange) -> bool {
    false
}

/// Reads all bytes of the range. Blocks.
///
/// # Errors
/// Those of the file system, and `UnexpectedEof` when the file ends before the range does.
pub fn read_range(range: &FileRange) -> io::Result<Bytes> {
    let mut bytes = vec![0; range.bytes];
    range.file.read_exact_at(&mut bytes, range.at)?;
    Ok(bytes.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write as _;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn only_written_ranges_are_cached() {
        // In the build folder, because a tmpfs reports the page cache differently.
        let mut file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let bytes = 3 * PROBE_BYTES + 5;
        file.write_all(&vec![7; bytes]).unwrap();
        let file = Arc::new(file);
        let range = |at, bytes| FileRange::new(Arc::clone(&file), at, bytes);
        assert!(is_cached(&range(0, bytes)));
        assert!(is_cached(&range(5, bytes - 5)));
        assert!(!is_cached(&range(0, bytes + 1)));
        assert_eq!(read_range(&range(5, 3)).unwrap(), [7; 3][..]);
        let error = read_range(&range(5, bytes)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
