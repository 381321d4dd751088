//! A rope: small fields gather in a buffer, large payloads are appended without a copy.
//!
//! Invariant: the chunks, one after the other, are exactly what was put, in that order. Knows no
//! message.

use bytes::{BufMut, Bytes, BytesMut};
use uuid::Uuid;

use super::WireError;
use super::chunk::Chunk;

/// Payloads from this size on are shared; below it a copy is cheaper than one more chunk.
const SHARE_FROM_BYTES: usize = 1024;

/// Collects a message's bytes.
#[derive(Debug, Default)]
pub struct Writer {
    chunks: Vec<Chunk>,
    tail: BytesMut,
    chunk_bytes: usize,
    errors: ErrorCounts,
    throttle_time_ms: Option<i32>,
}

/// Error codes other than 0 in a message, each with how often it stands there.
pub type ErrorCounts = Vec<(i16, u64)>;

impl Writer {
    /// An empty rope.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes put so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.chunk_bytes + self.tail.len()
    }

    /// Whether nothing was put yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Counts an error code, unless it is 0.
    pub fn note_error(&mut self, code: i16) {
        if code == 0 {
            return;
        }
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

    /// The error codes counted so far.
    #[must_use]
    pub fn errors(&self) -> &[(i16, u64)] {
        &self.errors
    }

    /// The chunks, none of them empty.
    #[must_use]
    pub fn finish(mut self) -> Vec<Chunk> {
        self.seal_tail();
        self.chunks
    }

    /// Puts bytes by copying them.
    pub fn put_slice(&mut self, bytes: &[u8]) {
        self.tail.put_slice(bytes);
    }

    /// Puts bytes, sharing their memory when they are many.
    pub fn put_bytes(&mut self, bytes: Bytes) {
        if bytes.len() < SHARE_FROM_BYTES {
            return self.tail.put_slice(&bytes);
        }
        self.put_whole(Chunk::Memory(bytes));
    }

    /// Puts a chunk; bytes of a file stay there.
    pub fn put(&mut self, chunk: Chunk) {
        match chunk {
            Chunk::Memory(bytes) => self.put_bytes(bytes),
            Chunk::File(_) => self.put_whole(chunk),
        }
    }

    /// Puts all of another rope.
    pub fn append(&mut self, other: Self) {
        for chunk in other.finish() {
            self.put(chunk);
        }
    }

    /// Puts a byte.
    pub fn u8(&mut self, value: u8) {
        self.tail.put_u8(value);
    }

    /// Puts a signed byte.
    pub fn i8(&mut self, value: i8) {
        self.tail.put_i8(value);
    }

    /// Puts two bytes, big-endian.
    pub fn i16(&mut self, value: i16) {
        self.tail.put_i16(value);
    }

    /// Puts four bytes, big-endian.
    pub fn i32(&mut self, value: i32) {
        self.tail.put_i32(value);
    }

    /// Puts eight bytes, big-endian.
    pub fn i64(&mut self, value: i64) {
        self.tail.put_i64(value);
    }

    /// Puts sixteen bytes.
    pub fn uuid(&mut self, value: Uuid) {
        self.tail.put_slice(value.as_bytes());
    }

    /// Puts an unsigned variable-length integer of 1 to 5 bytes.
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

    /// Puts the length of a string, `None` for null.
    ///
    /// # Errors
    /// [`WireError::TooLong`] beyond 32767, as Kafka has it also where the length is compact.
    pub fn string_length(&mut self, compact: bool, length: Option<usize>) -> Result<(), WireError> {
        let Ok(signed) = length.map_or(Ok(-1), i16::try_from) else {
            return Err(too_long(length, i16::MAX.unsigned_abs().into()));
        };
        if compact {
            return self.length(true, length);
        }
        self.i16(signed);
        Ok(())
    }

    /// Puts the length of bytes or the count of an array, `None` for null.
    ///
    /// # Errors
    /// [`WireError::TooLong`] beyond 2^31-1.
    pub fn length(&mut self, compact: bool, length: Option<usize>) -> Result<(), WireError> {
        let Ok(signed) = length.map_or(Ok(-1), i32::try_from) else {
            return Err(too_long(length, i32::MAX.unsigned_abs()));
        };
        if compact {
            self.unsigned_varint((signed.wrapping_add(1)).cast_unsigned());
        } else {
            self.i32(signed);
        }
        Ok(())
    }

    /// Puts the tagged fields that end a flexible structure, in ascending order of their tags.
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
