//! Varints byte by byte: the exact rules for every width, used where the fast paths do not apply.

/// The limits of a varint: the maximum number of bytes, and the maximum value of the last one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Width {
    pub(crate) bytes: usize,
    pub(crate) last_byte_max: u8,
}

/// 32 bits: four bytes of seven bits, and four bits in the fifth byte.
pub(crate) const INT: Width = Width {
    bytes: 5,
    last_byte_max: 0x0f,
};

/// 64 bits: nine bytes of seven bits, and one bit in the tenth byte.
pub(crate) const LONG: Width = Width {
    bytes: 10,
    last_byte_max: 0x01,
};

/// Returns the value of a varint before zigzag decoding, and its length in bytes. Returns `None` if
/// the bytes end or exceed the width.
#[inline(never)]
pub(crate) fn read(bytes: &[u8], width: Width) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(width.bytes).enumerate() {
        // The last byte has no continuation bit and no bits beyond the width.
        if index + 1 == width.bytes && *byte > width.last_byte_max {
            return None;
        }
        value |= u64::from(*byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Some((value, index + 1));
        }
    }
    None
}
