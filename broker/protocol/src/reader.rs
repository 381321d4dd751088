//! A bounds-checked cursor over one frame.
//!
//! Invariant: an element count is accepted only if the bytes left can hold that many elements of
//! minimum size, and all arrays of a frame have at most [`MAX_ELEMENTS`] elements together. A frame
//! of n bytes therefore allocates a small multiple of n.

use bytes::Bytes;
use uuid::Uuid;

use super::WireError;

/// Maximum of array elements in one frame, nested arrays included.
pub const MAX_ELEMENTS: usize = 200_000;
/// Maximum of unknown tagged fields in one frame.
pub const MAX_UNKNOWN_TAGS: usize = 64;
/// Maximum bytes of unknown tagged fields in one frame.
pub const MAX_UNKNOWN_TAG_BYTES: usize = 64 * 1024;

/// A cursor over a frame. Byte strings that it returns share the frame's memory.
#[derive(Clone, Debug)]
pub struct Reader {
    bytes: Bytes,
    at: usize,
    /// End of the frame, or of the tagged field that is being read.
    end: usize,
    elements_left: usize,
    unknown_tags_left: usize,
    unknown_tag_bytes_left: usize,
}

/// Defines a method for each type of integer.
macro_rules! integers {
    ($($type:ident)*) => {$(
        #[doc = concat!("Reads a big-endian `", stringify!($type), "`.")]
        ///
        /// # Errors
        /// [`WireError::Truncated`].
        pub fn $type(&mut self) -> Result<$type, WireError> {
            self.array().map($type::from_be_bytes)
        }
    )*};
}

impl Reader {
    /// Returns a cursor at the start of `bytes`.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        let end = bytes.len();
        Self::within(bytes, end)
    }

    /// Returns a cursor over the first `end` bytes of `memory`. The bytes after them are never
    /// decoded; they can serve as padding (see `section`).
    #[must_use]
    pub fn within(memory: Bytes, end: usize) -> Self {
        Self {
            at: 0,
            end: end.min(memory.len()),
            bytes: memory,
            elements_left: MAX_ELEMENTS,
            unknown_tags_left: MAX_UNKNOWN_TAGS,
            unknown_tag_bytes_left: MAX_UNKNOWN_TAG_BYTES,
        }
    }

    /// Returns the frame and the bytes after it in the same memory.
    #[must_use]
    pub fn memory(&self) -> Bytes {
        self.bytes.clone()
    }

    /// Limits the array elements that can still be read to `elements`.
    #[must_use]
    pub fn with_elements(mut self, elements: usize) -> Self {
        self.elements_left = self.elements_left.min(elements);
        self
    }

    /// Returns the number of array elements that can still be read.
    #[must_use]
    pub fn elements_left(&self) -> usize {
        self.elements_left
    }

    /// Returns the number of bytes read.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Returns the number of bytes left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// Checks that all bytes were read.
    ///
    /// # Errors
    /// [`WireError::TrailingBytes`] if bytes are left.
    pub fn finish(&self) -> Result<(), WireError> {
        match self.remaining() {
            0 => Ok(()),
            count => Err(WireError::TrailingBytes { at: self.at, count }),
        }
    }

    /// Reads the next `N` bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        self.need(N)?;
        let mut out = [0; N];
        out.copy_from_slice(&self.bytes[self.at..self.at + N]);
        self.at += N;
        Ok(out)
    }

    /// Reads the next `count` bytes without a copy.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn take(&mut self, count: usize) -> Result<Bytes, WireError> {
        self.need(count)?;
        let taken = self.bytes.slice(self.at..self.at + count);
        self.at += count;
        Ok(taken)
    }

    /// Reads the next `count` bytes as a string.
    ///
    /// # Errors
    /// [`WireError::Truncated`], [`WireError::BadUtf8`].
    pub fn text(&mut self, count: usize) -> Result<String, WireError> {
        self.need(count)?;
        let text = std::str::from_utf8(&self.bytes[self.at..self.at + count])
            .map_err(|_| WireError::BadUtf8 { at: self.at })?
            .to_owned();
        self.at += count;
        Ok(text)
    }

    integers! { u8 i8 i16 i32 i64 }

    /// Reads a UUID of 16 bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn uuid(&mut self) -> Result<Uuid, WireError> {
        self.array().map(Uuid::from_bytes)
    }

    /// Reads an unsigned variable-length integer: 1 to 5 bytes of 7 bits, low bits first.
    ///
    /// # Errors
    /// [`WireError::Truncated`], [`WireError::BadVarint`].
    pub fn unsigned_varint(&mut self) -> Result<u32, WireError> {
        let start = self.at;
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.u8()?;
            let bits = u32::from(byte & 0x7f);
            // The fifth byte holds bits 28 to 31 and no continuation bit.
            if shift == 28 && byte > 0x0f {
                return Err(WireError::BadVarint { at: start });
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        Ok(value)
    }

    /// Reads the length of a string, 2 bytes unless compact. Returns `None` for null.
    ///
    /// # Errors
    /// [`WireError::BadLength`] below -1, and the errors of the integers.
    pub fn string_length(&mut self, compact: bool) -> Result<Option<usize>, WireError> {
        let at = self.at;
        if compact {
            return self.compact_length();
        }
        let length = self.i16()?;
        signed_length(at, i64::from(length))
    }

    /// Reads the length of a byte string or an array, 4 bytes unless compact. Returns `None` for
    /// null.
    ///
    /// # Errors
    /// [`WireError::BadLength`] below -1, and the errors of the integers.
    pub fn length(&mut self, compact: bool) -> Result<Option<usize>, WireError> {
        let at = self.at;
        if compact {
            return self.compact_length();
        }
        let length = self.i32()?;
        signed_length(at, i64::from(length))
    }

    /// Reads the count of an array whose elements have at least `min_bytes` bytes each. Returns
    /// `None` for null.
    ///
    /// # Errors
    /// [`WireError::TooMany`] if the bytes left or [`MAX_ELEMENTS`] do not suffice, and the errors
    /// of [`Self::length`].
    pub fn count(&mut self, compact: bool, min_bytes: usize) -> Result<Option<usize>, WireError> {
        let at = self.at;
        let Some(count) = self.length(compact)? else {
            return Ok(None);
        };
        // Checked here so that callers can allocate `count` elements at once.
        let limit = self.elements_left.min(self.remaining() / min_bytes.max(1));
        if count > limit {
            let (count, limit) = (count as u64, limit as u64);
            return Err(WireError::TooMany {
                what: "array elements",
                at,
                count,
                limit,
            });
        }
        self.elements_left -= count;
        Ok(Some(count))
    }

    /// Reads the tagged fields at the end of a flexible structure (KIP-482). `known` receives each
    /// tag with the reader at the start of the field. It reads the field and returns true, or
    /// returns false to skip it.
    ///
    /// # Errors
    /// [`WireError::TrailingBytes`] if a known field is shorter than its declared size,
    /// [`WireError::TooMany`] above the limits for unknown fields, and the errors of `known`.
    pub fn tagged_fields(
        &mut self,
        mut known: impl FnMut(&mut Self, u32) -> Result<bool, WireError>,
    ) -> Result<(), WireError> {
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let size = self.unsigned_varint()? as usize;
            self.need(size)?;
            let start = self.at;
            // A known field must not read into the next one.
            let outer_end = std::mem::replace(&mut self.end, start + size);
            if known(self, tag)? {
                self.finish()?;
            } else {
                self.skip_unknown(size)?;
            }
            self.end = outer_end;
        }
        Ok(())
    }

    fn skip_unknown(&mut self, size: usize) -> Result<(), WireError> {
        let at = self.at;
        let exceeded = |what, count: usize, limit: usize| WireError::TooMany {
            what,
            at,
            count: count as u64,
            limit: limit as u64,
        };
        // Tags without content cost a client two bytes each, so their number has its own limit.
        self.unknown_tags_left = (self.unknown_tags_left.checked_sub(1))
            .ok_or_else(|| exceeded("unknown tagged fields", 1, 0))?;
        let left = self.unknown_tag_bytes_left;
        self.unknown_tag_bytes_left = (left.checked_sub(size))
            .ok_or_else(|| exceeded("bytes of unknown tagged fields", size, left))?;
        self.at += size;
        Ok(())
    }

    fn compact_length(&mut self) -> Result<Option<usize>, WireError> {
        // 0 is null, and n + 1 is the length n (KIP-482).
        Ok(self
            .unsigned_varint()?
            .checked_sub(1)
            .map(|length| length as usize))
    }

    fn need(&self, need: usize) -> Result<(), WireError> {
        let have = self.remaining();
        if need > have {
            return Err(WireError::Truncated {
                at: self.at,
                need,
                have,
            });
        }
        Ok(())
    }
}

fn signed_length(at: usize, length: i64) -> Result<Option<usize>, WireError> {
    match length {
        -1 => Ok(None),
        _ => match usize::try_from(length) {
            Ok(length) => Ok(Some(length)),
            Err(_) => Err(WireError::BadLength { at, length }),
        },
    }
}
