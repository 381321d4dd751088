//! Parts of a message: bytes in memory, or a range of a file that is sent without a copy. Performs
//! no I/O: the log reads file ranges, and the server sends them.

use std::any::Any;
use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;

/// One part of a message.
#[derive(Clone)]
pub enum Chunk {
    /// Bytes in memory.
    Memory(Bytes),
    /// A range of a file.
    File(FileRange),
}

/// A range of a file whose bytes no longer change.
#[derive(Clone, Debug)]
pub struct FileRange {
    /// The open file.
    pub file: Arc<File>,
    /// Position of the first byte.
    pub at: u64,
    /// Size in bytes.
    pub bytes: usize,
    /// Set if sending failed, so that the owner of the file reads and verifies the range next time.
    pub failed: Arc<AtomicBool>,
    /// A guard that lives as long as the range.
    pub held: Option<Arc<dyn Any + Send + Sync>>,
}

impl FileRange {
    /// Returns a range of `file` without a guard.
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
}

/// Two ranges are equal if they are the same bytes of the same open file.
impl PartialEq for FileRange {
    fn eq(&self, other: &Self) -> bool {
        // File handles are compared by identity: two open files of one path can differ.
        let place = |range: &Self| (Arc::as_ptr(&range.file), range.at, range.bytes);
        place(self) == place(other)
    }
}

impl Chunk {
    /// Returns the size in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Memory(bytes) => bytes.len(),
            Self::File(range) => range.bytes,
        }
    }

    /// Returns true if there are no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the bytes if they are in memory.
    #[must_use]
    pub fn memory(&self) -> Option<&Bytes> {
        match self {
            Self::Memory(bytes) => Some(bytes),
            Self::File(_) => None,
        }
    }
}

/// Returns the bytes of all chunks in one buffer, or `None` if a chunk is a file. For tests and
/// tools; responses are sent chunk by chunk.
#[must_use]
pub fn joined(chunks: &[Chunk]) -> Option<Bytes> {
    let mut bytes = Vec::new();
    for chunk in chunks {
        bytes.extend_from_slice(chunk.memory()?);
    }
    Some(bytes.into())
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(bytes) => bytes.fmt(f),
            Self::File(range) => range.fmt(f),
        }
    }
}

impl From<Bytes> for Chunk {
    fn from(bytes: Bytes) -> Self {
        Self::Memory(bytes)
    }
}
