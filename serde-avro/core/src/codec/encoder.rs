//! An encoder of the primitive values and the structure of a datum.

/// Appends values to a buffer.
///
/// Arrays and maps are one block each, as in Java. The caller keeps the order of the schema.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
}

/// Continues the encoding at the end of a buffer.
impl From<Vec<u8>> for Encoder {
    fn from(out: Vec<u8>) -> Self {
        Self { out }
    }
}

/// Returns the buffer.
impl From<Encoder> for Vec<u8> {
    fn from(encoder: Encoder) -> Self {
        encoder.out
    }
}

impl Encoder {
    /// Creates an encoder with an empty buffer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the bytes so far.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.out
    }

    /// Returns the number of bytes so far.
    #[must_use]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Returns whether no bytes were appended.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Appends the first `len` bytes of a slice.
    #[inline]
    pub(crate) fn start_of(&mut self, bytes: &[u8], len: usize) {
        match bytes.first_chunk::<32>() {
            // A copy of known size needs no call; the bytes after `len` are removed again.
            Some(chunk) if len <= 32 => {
                let end = self.out.len() + len;
                self.out.extend_from_slice(chunk);
                self.out.truncate(end);
            }
            _ => self
                .out
                .extend_from_slice(bytes.get(..len).unwrap_or_default()),
        }
    }

    /// Removes the bytes after the first `len`.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.out.truncate(len);
    }

    /// Appends a null, which has no bytes.
    #[inline]
    pub fn null(&mut self) {}

    /// Appends a boolean.
    #[inline]
    pub fn boolean(&mut self, value: bool) {
        self.out.push(u8::from(value));
    }

    /// Appends an int.
    #[inline]
    pub fn int(&mut self, value: i32) {
        self.long(i64::from(value));
    }

    /// Appends a long.
    #[inline]
    pub fn long(&mut self, value: i64) {
        self.varint(((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    /// Appends a float.
    #[inline]
    pub fn float(&mut self, value: f32) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// Appends a double.
    #[inline]
    pub fn double(&mut self, value: f64) {
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// Appends bytes with their length.
    #[inline]
    pub fn bytes(&mut self, value: &[u8]) {
        // Room for the longest length, so that the copy does not grow the buffer again.
        self.out.reserve(value.len() + 10);
        self.size(value.len());
        self.out.extend_from_slice(value);
    }

    /// Appends a string with its length.
    #[inline]
    pub fn string(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// Appends a fixed, whose size is that of the schema.
    #[inline]
    pub fn fixed(&mut self, value: &[u8]) {
        self.out.extend_from_slice(value);
    }

    /// Appends the index of a symbol of an enum, from 0.
    #[inline]
    pub fn enum_index(&mut self, index: u32) {
        self.varint(u64::from(index) << 1);
    }

    /// Appends the index of a branch of a union, from 0. The value of the branch follows.
    #[inline]
    pub fn union_index(&mut self, index: u32) {
        self.varint(u64::from(index) << 1);
    }

    /// Starts a block of an array or map. As many items follow, then another block or
    /// [`Encoder::end_blocks`]. A block without items has no header.
    #[inline]
    pub fn block(&mut self, items: usize) {
        if items > 0 {
            self.size(items);
        }
    }

    /// Ends an array or map.
    #[inline]
    pub fn end_blocks(&mut self) {
        self.out.push(0);
    }

    #[inline]
    fn size(&mut self, size: usize) {
        self.varint((size as u64) << 1);
    }

    /// Appends a varint of a number in zigzag encoding.
    #[inline]
    fn varint(&mut self, zigzag: u64) {
        if zigzag < 0x80 {
            self.out.push(zigzag.to_le_bytes()[0]);
        } else {
            self.wide_varint(zigzag);
        }
    }

    #[inline]
    fn wide_varint(&mut self, zigzag: u64) {
        if zigzag >> 56 != 0 {
            return self.varint_by_bytes(zigzag);
        }
        // Eight groups of 7 bits, one in each byte.
        let word = (zigzag & 0x0fff_ffff) | ((zigzag & 0x00ff_ffff_f000_0000) << 4);
        let word = (word & 0x0000_3fff_0000_3fff) | ((word & 0x0fff_c000_0fff_c000) << 2);
        let word = (word & 0x007f_007f_007f_007f) | ((word & 0x3f80_3f80_3f80_3f80) << 1);
        let bits = 64 - zigzag.leading_zeros();
        let bytes = bits.div_ceil(7);
        // All bytes but the last continue; `bytes` is at least 2 here.
        let continues = 0x8080_8080_8080_8080 & (u64::MAX >> (72 - 8 * bytes));
        // Appending eight bytes and truncating is one store instead of a loop.
        let len = self.out.len();
        self.out
            .extend_from_slice(&(word | continues).to_le_bytes());
        self.out.truncate(len + bytes as usize);
    }

    #[cold]
    fn varint_by_bytes(&mut self, zigzag: u64) {
        let mut rest = zigzag;
        while rest >= 0x80 {
            self.out.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        self.out.push(rest.to_le_bytes()[0]);
    }
}
