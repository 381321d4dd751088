//! A part of a message: bytes at hand, or a stretch of a file that is sent without being read here.
//! Knows no socket.

use std::any::Any;
use std::fmt;
use std::fs::File;
use std::io;
#[cfg(target_os = "linux")]
use std::io::IoSliceMut;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
#[cfg(target_os = "linux")]
use rustix::io::ReadWriteFlags;

/// One part of a message.
#[derive(Clone)]
pub enum Chunk {
    /// Bytes at hand.
    Memory(Bytes),
    /// Bytes of a file.
    File(Stretch),
}

/// Bytes of a file that do not change any more.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// The file, which is kept open.
    pub file: Arc<File>,
    /// Where the bytes begin.
    pub at: u64,
    /// How many there are.
    pub bytes: usize,
    /// Set by who could not send it, so that the file's owner reads it the next time.
    pub failed: Arc<AtomicBool>,
    /// What is kept for as long as the stretch is.
    pub held: Option<Arc<dyn Any + Send + Sync>>,
}

/// Of so many bytes one is looked at: page caches are filled and emptied by about as many.
#[cfg(target_os = "linux")]
const LOOK_BYTES: usize = 128 << 10;

impl Stretch {
    /// Bytes of `file`, of which nothing else is known.
    #[must_use]
    pub fn new(file: Arc<File>, at: u64, bytes: usize) -> Self {
        Self {
            file,
            at,
            bytes,
            failed: Arc::default(),
            held: None,
        }
    }

    /// Whether sending it would not wait for the disk, as far as a look here and there into the
    /// page cache tells.
    #[cfg(target_os = "linux")]
    #[must_use]
    pub fn is_cached(&self) -> bool {
        let is_there = |skip: usize| {
            let mut byte = [0];
            let slices = &mut [IoSliceMut::new(&mut byte)];
            let at = self.at + skip as u64;
            let read = rustix::io::preadv2(&self.file, slices, at, ReadWriteFlags::NOWAIT);
            read == Ok(1)
        };
        let last = self.bytes.saturating_sub(1);
        (0..self.bytes).step_by(LOOK_BYTES).all(is_there) && is_there(last)
    }

    /// Nobody can tell.
    #[cfg(not(target_os = "linux"))]
    #[must_use]
    pub fn is_cached(&self) -> bool {
        false
    }

    /// The bytes, read from the file.
    ///
    /// # Errors
    /// As the system says; also when the file ends before the stretch does.
    pub fn read(&self) -> io::Result<Bytes> {
        let mut bytes = vec![0; self.bytes];
        self.file.read_exact_at(&mut bytes, self.at)?;
        Ok(bytes.into())
    }
}

/// The same bytes of the same open file.
impl PartialEq for Stretch {
    fn eq(&self, other: &Self) -> bool {
        let place = |stretch: &Self| (Arc::as_ptr(&stretch.file), stretch.at, stretch.bytes);
        place(self) == place(other)
    }
}

impl Chunk {
    /// How many bytes it is.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::File(stretch) => stretch.bytes,
        }
    }

    /// Whether it is no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes, if they are at hand.
    #[must_use]
    pub fn memory(&self) -> Option<&Bytes> {
        match self {
            Self::Memory(bytes) => Some(bytes),
            Self::File(_) => None,
        }
    }
}

/// All bytes of the chunks in one piece; what is not at hand is read. For tests and other places
/// that look at a message rather than send it.
///
/// # Errors
/// When a file cannot be read, or ends before its stretch does.
pub fn joined(chunks: &[Chunk]) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    for chunk in chunks {
        match chunk {
            Chunk::Memory(memory) => bytes.extend_from_slice(memory),
            Chunk::File(stretch) => bytes.extend_from_slice(&stretch.read()?),
        }
    }
    Ok(bytes.into())
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => bytes.fmt(f),
            Self::File(stretch) => stretch.fmt(f),
        }
    }
}

impl From<Bytes> for Chunk {
    fn from(bytes: Bytes) -> Self {
        Self::Memory(bytes)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_was_just_written_is_cached_and_what_is_not_there_is_not() {
        // Beside the build: what is told of files in memory differs.
        let mut file = tempfile::tempfile_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let bytes = 3 * LOOK_BYTES + 5;
        file.write_all(&vec![7; bytes]).unwrap();
        let file = Arc::new(file);
        let stretch = |at, bytes| Stretch::new(Arc::clone(&file), at, bytes);
        assert!(stretch(0, bytes).is_cached());
        assert!(stretch(5, bytes - 5).is_cached());
        assert!(!stretch(0, bytes + 1).is_cached());
        assert_eq!(stretch(5, 3).read().unwrap(), [7; 3][..]);
        let error = stretch(5, bytes).read().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
