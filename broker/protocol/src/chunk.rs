//! A part of a message: bytes in memory, or a range of a file that is sent without being read here.
//! Performs no I/O: the log reads file ranges, the server sends them.

use std::any::Any;
use std::fmt;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;

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
            Self::File(stretch) => stretch.fmt(f),
        }
    }
}

impl From<Bytes> for Chunk {
    fn from(bytes: Bytes) -> Self {
        Self::Memory(bytes)
    }
}
