//! The fields of Kafka's non-flexible encoding, big-endian, read with bounds and written.
//!
//! ```text
//! text   length i16, that many bytes of UTF-8; length -1 is null where null is allowed
//! bytes  length i32, that many bytes
//! ```
//! Invariant: the reader never reads past its input and never allocates what a length merely
//! claims.

use thiserror::Error;

/// What is wrong with stored bytes, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FieldError {
    /// The input ends within a field.
    #[error("truncated at byte {at}: {need} bytes needed, {have} left")]
    Truncated {
        /// Where the field starts.
        at: usize,
        /// Bytes it takes.
        need: usize,
        /// Bytes there are.
        have: usize,
    },
    /// A length or count that no value has.
    #[error("bad length {length} at byte {at}")]
    BadLength {
        /// Where it stands.
        at: usize,
        /// What it is.
        length: i64,
    },
    /// Text that is not UTF-8.
    #[error("text at byte {at} is not UTF-8")]
    BadUtf8 {
        /// Where the text starts.
        at: usize,
    },
    /// Text or bytes too long for their length field.
    #[error("{bytes} bytes do not fit their length field")]
    TooLong {
        /// Bytes there are.
        bytes: usize,
    },
}

/// Reads fields from the front of some bytes.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, at: 0 }
    }

    pub(super) fn i16(&mut self) -> Result<i16, FieldError> {
        self.array().map(i16::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, FieldError> {
        self.array().map(i32::from_be_bytes)
    }

    pub(super) fn i64(&mut self) -> Result<i64, FieldError> {
        self.array().map(i64::from_be_bytes)
    }

    /// A count of items that take at least `item_bytes` each, checked against the bytes left.
    pub(super) fn count(&mut self, item_bytes: usize) -> Result<usize, FieldError> {
        let at = self.at;
        let claimed = self.i32()?;
        match usize::try_from(claimed) {
            Ok(count) if count <= self.rest.len() / item_bytes => Ok(count),
            _ => Err(FieldError::BadLength {
                at,
                length: claimed.into(),
            }),
        }
    }

    pub(super) fn text(&mut self) -> Result<&'a str, FieldError> {
        let at = self.at;
        self.nullable_text()?
            .ok_or(FieldError::BadLength { at, length: -1 })
    }

    pub(super) fn nullable_text(&mut self) -> Result<Option<&'a str>, FieldError> {
        let at = self.at;
        let length = self.i16()?;
        if length == -1 {
            return Ok(None);
        }
        let bytes = self.take(length.into(), at)?;
        str::from_utf8(bytes)
            .map(Some)
            .map_err(|_| FieldError::BadUtf8 { at: at + 2 })
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], FieldError> {
        let at = self.at;
        let length = self.i32()?;
        self.take(length.into(), at)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], FieldError> {
        let truncated = self.truncated(N);
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(truncated)?;
        self.rest = rest;
        self.at += N;
        Ok(*head)
    }

    fn take(&mut self, length: i64, length_at: usize) -> Result<&'a [u8], FieldError> {
        let bad = FieldError::BadLength {
            at: length_at,
            length,
        };
        let length = usize::try_from(length).map_err(|_| bad)?;
        let truncated = self.truncated(length);
        let (head, rest) = self.rest.split_at_checked(length).ok_or(truncated)?;
        self.rest = rest;
        self.at += length;
        Ok(head)
    }

    fn truncated(&self, need: usize) -> FieldError {
        FieldError::Truncated {
            at: self.at,
            need,
            have: self.rest.len(),
        }
    }
}

/// Writes fields.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn finish(self) -> bytes::Bytes {
        self.bytes.into()
    }

    pub(super) fn i16(&mut self, value: i16) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i32(&mut self, value: i32) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn i64(&mut self, value: i64) {
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    pub(super) fn count(&mut self, count: usize) -> Result<(), FieldError> {
        self.i32(i32::try_from(count).map_err(|_| FieldError::TooLong { bytes: count })?);
        Ok(())
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), FieldError> {
        let too_long = |_| FieldError::TooLong { bytes: text.len() };
        self.i16(i16::try_from(text.len()).map_err(too_long)?);
        self.bytes.extend_from_slice(text.as_bytes());
        Ok(())
    }

    pub(super) fn nullable_text(&mut self, text: Option<&str>) -> Result<(), FieldError> {
        match text {
            Some(text) => self.text(text),
            None => {
                self.i16(-1);
                Ok(())
            }
        }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), FieldError> {
        self.count(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }
}
