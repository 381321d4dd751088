//! A rope: small fields are written to a buffer, large payloads are appended without a copy.
//!
//! Invariant: the concatenated chunks are exactly the written values, in order.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::WireError;
use super::chunk::Chunk;

/// Minimum size of a payload that is shared. A copy of a smaller one costs less than a chunk.
const SHARE_FROM_BYTES: usize = 1024;

/// The bytes of a message while it is encoded.
#[derive(Debug, Default)]
pub struct Writer {
    chunks: Vec<Chunk>,
    tail: BytesMut,
    chunk_bytes: usize,
    errors: ErrorCounts,
    throttle_time_ms: Option<i32>,
}

/// The error codes other than 0 in a message, each with the number of its occurrences.
pub type ErrorCounts = Vec<(i16, u64)>;

/// Defines a method for each type of integer.
macro_rules! integers {
    ($($type:ident)*) => {$(
        #[doc = concat!("Writes a big-endian `", stringify!($type), "`.")]
        pub fn $type(&mut self, value: $type) {
            self.tail.put_slice(&value.to_be_bytes());
        }
    )*};
}

impl Writer {
    /// Returns an empty rope.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of bytes written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunk_bytes + self.tail.len()
    }

    /// Returns true if nothing was written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts an error code, unless it is 0.
    pub fn note_error(&mut self, code: i16) {
        if code == 0 {
            return;
        }
        // A response has few distinct codes, so a linear search is enough.
        match self.errors.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += 1,
            None => self.errors.push((code, 1)),
        }
    }

    /// Sets the throttle time of the response, in ms; it replaces the value in the message.
    pub(crate) fn set_throttle_time_ms(&mut self, time_ms: i32) {
        self.throttle_time_ms = Some(time_ms);
    }

    /// Returns the throttle time of the response in ms, if it was set.
    pub(crate) fn throttle_time_ms(&self) -> Option<i32> {
        self.throttle_time_ms
    }

    /// Returns the error codes counted so far.
    #[must_use]
    pub fn errors(&self) -> &[(i16, u64)] {
        &self.errors
    }

    /// Returns the chunks. None of them is empty.
    #[must_use]
    pub fn finish(mut self) -> Vec<Chunk> {
        self.seal_tail();
        self.chunks
    }

    /// Copies bytes into the rope.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.tail.put_slice(bytes);
    }

    /// Appends bytes, without a copy if they are 1,024 or more.
    pub fn put_bytes(&mut self, bytes: Bytes) {
        if bytes.len() < SHARE_FROM_BYTES {
            return self.tail.put_slice(&bytes);
        }
        self.put_whole(Chunk::Memory(bytes));
    }

    /// Appends a chunk. A file range is not read.
    pub fn put(&mut self, chunk: Chunk) {
        match chunk {
            Chunk::Memory(bytes) => self.put_bytes(bytes),
            Chunk::File(_) => self.put_whole(chunk),
        }
    }

    /// Appends another rope.
    pub fn append(&mut self, other: Self) {
        for chunk in other.finish() {
            self.put(chunk);
        }
    }

    integers! { u8 i8 i16 i32 i64 }

    /// Writes a UUID as 16 bytes.
    pub fn uuid(&mut self, value: Uuid) {
        self.tail.put_slice(value.as_bytes());
    }

    /// Writes an unsigned variable-length integer of 1 to 5 bytes.
    pub fn unsigned_varint(&mut self, mut value: u32) {
        loop {
            let [.., seven_bits] = (value & 0x7f).to_be_bytes();
            value >>= 7;
            if value == 0 {
                return self.u8(seven_bits);
            }
            self.u8(seven_bits | 0x80);
        }
    }

    /// Writes the length of a string, `None` for null.
    ///
    /// # Errors
    /// [`WireError::TooLong`] above 32,767.
    pub fn string_length(&mut self, compact: bool, length: Option<usize>) -> Result<(), WireError> {
        // Compact lengths could be larger, but Kafka has the same maximum for both.
        let Ok(signed) = length.map_or(Ok(-1), i16::try_from) else {
            return Err(too_long(length, i16::MAX.unsigned_abs().into()));
        };
        if compact {
            return self.length(true, length);
        }
        self.i16(signed);
        Ok(())
    }

    /// Writes the length of a byte string or the count of an array, `None` for null.
    ///
    /// # Errors
    /// [`WireError::TooLong`] above 2^31-1.
    pub fn length(&mut self, compact: bool, length: Option<usize>) -> Result<(), WireError> {
        let Ok(signed) = length.map_or(Ok(-1), i32::try_from) else {
            return Err(too_long(length, i32::MAX.unsigned_abs()));
        };
        if compact {
            // 2^31-1 plus one wraps to the same bits as the unsigned 2^31.
            self.unsigned_varint((signed.wrapping_add(1)).cast_unsigned());
        } else {
            self.i32(signed);
        }
        Ok(())
    }

    /// Writes the tagged fields at the end of a flexible structure. `fields` must be in ascending
    /// order of their tags.
    ///
    /// # Errors
    /// [`WireError::TooLong`] for a field of 2^32 bytes or more.
    pub fn tagged_fields(&mut self, fields: Vec<(u32, Self)>) -> Result<(), WireError> {
        self.size(fields.len())?;
        for (tag, field) in fields {
            self.unsigned_varint(tag);
            self.size(field.len())?;
            self.append(field);
        }
        Ok(())
    }

    fn size(&mut self, size: usize) -> Result<(), WireError> {
        let encoded = u32::try_from(size).map_err(|_| too_long(Some(size), u32::MAX))?;
        self.unsigned_varint(encoded);
        Ok(())
    }

    fn seal_tail(&mut self) {
        if !self.tail.is_empty() {
            self.chunk_bytes += self.tail.len();
            self.chunks.push(self.tail.split().freeze().into());
        }
    }

    fn put_whole(&mut self, chunk: Chunk) {
        self.seal_tail();
        self.chunk_bytes += chunk.len();
        self.chunks.push(chunk);
    }
}

fn too_long(length: Option<usize>, limit: u32) -> WireError {
    WireError::TooLong {
        length: length.unwrap_or(0),
        limit: limit as usize,
    }
}
