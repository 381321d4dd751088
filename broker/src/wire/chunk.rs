//! A part of a message: bytes at hand, or a stretch of a file that is sent without being read here.
//! Knows no socket.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

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
}

impl Stretch {
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
