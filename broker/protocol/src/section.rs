//! The records of a batch as bytes, and the memory they stand in.
//!
//! A validator loads whole vectors and so reads up to [`SLACK_BYTES`] behind a datum. What stands
//! behind it in the same memory serves: the next record, the rest of the request's frame, or the
//! zeros that `compress` and the server's connections leave at the end of their buffers. Then no
//! datum is copied to be checked.

use std::ops::Deref;

/// Readable bytes that a buffer should have behind what was asked for: as many as
/// `avouch_avro::validator::PADDING_BYTES`.
pub const SLACK_BYTES: usize = 64;

/// Bytes, and the memory they stand in, which may go on behind them.
#[derive(Clone, Copy, Debug)]
pub struct Section<'a> {
    bytes: &'a [u8],
    memory: &'a [u8],
}

impl<'a> Section<'a> {
    /// `bytes` as a part of `memory`. Should they stand elsewhere, there is just no slack.
    #[must_use]
    pub fn within(memory: &'a [u8], bytes: &'a [u8]) -> Self {
        Self { bytes, memory }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// All that may be read around them.
    #[must_use]
    pub fn memory(&self) -> &'a [u8] {
        self.memory
    }
}

/// Bytes with nothing known behind them.
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
