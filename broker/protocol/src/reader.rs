//! A cursor over one frame: every read is checked against the bytes that are left.
//!
//! Invariant: an element count is believed only as far as the bytes left could hold that many of
//! the least possible elements, and all arrays of a frame together hold at most [`MAX_ELEMENTS`];
//! so a frame of n bytes costs a small multiple of n. Knows no message.

use bytes::Bytes;
use uuid::Uuid;

use super::WireError;

/// Array elements in one frame, all arrays and nested ones together.
pub const MAX_ELEMENTS: usize = 200_000;
/// Tagged fields in one frame that we do not know.
pub const MAX_UNKNOWN_TAGS: usize = 64;
/// Bytes of one frame in tagged fields that we do not know.
pub const MAX_UNKNOWN_TAG_BYTES: usize = 64 * 1024;

/// A cursor over a frame. Byte strings that it yields share the frame's memory.
#[derive(Clone, Debug)]
pub struct Reader {
    bytes: Bytes,
    at: usize,
    /// The end of what may be read: the frame's, or the tagged field's that is being read.
    end: usize,
    elements_left: usize,
    unknown_tags_left: usize,
    unknown_tag_bytes_left: usize,
}

impl Reader {
    /// A cursor at the start of `bytes`.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        let end = bytes.len();
        Self::within(bytes, end)
    }

    /// A cursor over the first `end` bytes of `memory`; what follows them is never read, and may
    /// serve as slack (see `section`).
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

    /// The frame, and what stands behind it in the same memory.
    #[must_use]
    pub fn memory(&self) -> Bytes {
        self.bytes.clone()
    }

    /// The same cursor with no more than `elements` array elements ahead of it.
    #[must_use]
    pub fn with_elements(mut self, elements: usize) -> Self {
        self.elements_left = self.elements_left.min(elements);
        self
    }

    /// Array elements that may still come.
    #[must_use]
    pub fn elements_left(&self) -> usize {
        self.elements_left
    }

    /// Bytes read so far.
    #[must_use]
    pub fn position(&self) -> usize {
        self.at
    }

    /// Bytes left to read.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.end - self.at
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`WireError::TrailingBytes`] when bytes are left.
    pub fn finish(&self) -> Result<(), WireError> {
        match self.remaining() {
            0 => Ok(()),
            count => Err(WireError::TrailingBytes { at: self.at, count }),
        }
    }

    /// The next `N` bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`], as every read below.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        self.need(N)?;
        let mut out = [0; N];
        out.copy_from_slice(&self.bytes[self.at..self.at + N]);
        self.at += N;
        Ok(out)
    }

    /// The next `count` bytes, shared with the frame.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn take(&mut self, count: usize) -> Result<Bytes, WireError> {
        self.need(count)?;
        let taken = self.bytes.slice(self.at..self.at + count);
        self.at += count;
        Ok(taken)
    }

    /// The next `count` bytes as text.
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

    /// A byte.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn u8(&mut self) -> Result<u8, WireError> {
        self.array().map(u8::from_be_bytes)
    }

    /// A signed byte.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn i8(&mut self) -> Result<i8, WireError> {
        self.array().map(i8::from_be_bytes)
    }

    /// Two bytes, big-endian.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn i16(&mut self) -> Result<i16, WireError> {
        self.array().map(i16::from_be_bytes)
    }

    /// Four bytes, big-endian.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn i32(&mut self) -> Result<i32, WireError> {
        self.array().map(i32::from_be_bytes)
    }

    /// Eight bytes, big-endian.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn i64(&mut self) -> Result<i64, WireError> {
        self.array().map(i64::from_be_bytes)
    }

    /// Sixteen bytes.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn uuid(&mut self) -> Result<Uuid, WireError> {
        self.array().map(Uuid::from_bytes)
    }

    /// An unsigned variable-length integer of at most 5 bytes, seven bits a byte, least first.
    ///
    /// # Errors
    /// [`WireError::Truncated`], [`WireError::BadVarint`].
    pub fn unsigned_varint(&mut self) -> Result<u32, WireError> {
        let start = self.at;
        let mut value = 0_u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.u8()?;
            let bits = u32::from(byte & 0x7f);
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

    /// The length of a string (of 2-byte lengths when not compact), or `None` for null.
    ///
    /// # Errors
    /// [`WireError::BadLength`] below -1, and those of the integers.
    pub fn string_length(&mut self, compact: bool) -> Result<Option<usize>, WireError> {
        let at = self.at;
        if compact {
            return self.compact_length();
        }
        let length = self.i16()?;
        signed_length(at, i64::from(length))
    }

    /// The length of bytes or of an array (4 bytes when not compact), or `None` for null.
    ///
    /// # Errors
    /// [`WireError::BadLength`] below -1, and those of the integers.
    pub fn length(&mut self, compact: bool) -> Result<Option<usize>, WireError> {
        let at = self.at;
        if compact {
            return self.compact_length();
        }
        let length = self.i32()?;
        signed_length(at, i64::from(length))
    }

    /// The count of an array whose elements have at least `least_bytes` bytes each, or `None`.
    ///
    /// # Errors
    /// [`WireError::TooMany`] when the bytes left or the frame's [`MAX_ELEMENTS`] cannot hold
    /// them, and those of [`Self::length`].
    pub fn count(&mut self, compact: bool, least_bytes: usize) -> Result<Option<usize>, WireError> {
        let at = self.at;
        let Some(count) = self.length(compact)? else {
            return Ok(None);
        };
        let limit = self
            .elements_left
            .min(self.remaining() / least_bytes.max(1));
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

    /// Reads the tagged fields that end a flexible structure (KIP-482). `known` gets each tag with
    /// the reader standing at the field: it reads the field and says true, or says false and
    /// leaves it alone.
    ///
    /// # Errors
    /// [`WireError::TrailingBytes`] when a known field is shorter than its size says,
    /// [`WireError::TooMany`] beyond the limits for unknown ones, and those of `known`.
    pub fn tagged_fields(
        &mut self,
        mut known: impl FnMut(&mut Self, u32) -> Result<bool, WireError>,
    ) -> Result<(), WireError> {
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let size = self.unsigned_varint()? as usize;
            self.need(size)?;
            let start = self.at;
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
        self.unknown_tags_left = (self.unknown_tags_left.checked_sub(1))
            .ok_or_else(|| exceeded("unknown tagged fields", 1, 0))?;
        let left = self.unknown_tag_bytes_left;
        self.unknown_tag_bytes_left = (left.checked_sub(size))
            .ok_or_else(|| exceeded("bytes of unknown tagged fields", size, left))?;
        self.at += size;
        Ok(())
    }

    fn compact_length(&mut self) -> Result<Option<usize>, WireError> {
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
