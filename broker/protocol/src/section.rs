//! The records of a batch as bytes, with the memory around them.
//!
//! A validator loads whole vectors and reads up to [`PADDING_BYTES`] after a datum. The bytes after
//! it in the same memory serve as padding: the next record, the rest of the request's frame, or the
//! zeros that `compress` and the server's connections append to their buffers. So validation copies
//! no datum.

use std::ops::Deref;

/// Number of readable bytes that a buffer should have after its content. Equal to
/// `avouch_avro::validator::PADDING_BYTES`.
pub const PADDING_BYTES: usize = 64;

/// Record bytes, and the memory that contains them and possibly padding after them.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    bytes: &'a [u8],
    memory: &'a [u8],
}

impl<'a> Section<'a> {
    /// Returns `bytes` as a part of `memory`. If they are elsewhere, they have no padding.
    #[must_use]
    pub fn within(memory: &'a [u8], bytes: &'a [u8]) -> Self {
        Self { bytes, memory }
    }

    /// Returns the record bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns the memory that may be read.
    #[must_use]
    pub fn memory(&self) -> &'a [u8] {
        self.memory
    }
}

/// Converts bytes without padding.
impl<'a, T: AsRef<[u8]> + ?Sized> From<&'a T> for Section<'a> {
    fn from(bytes: &'a T) -> Self {
        let bytes = bytes.as_ref();
        Self::within(bytes, bytes)
    }
}

impl Deref for Section<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}
