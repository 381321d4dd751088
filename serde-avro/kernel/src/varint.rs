//! A varint, byte by byte: exact for every width, and what the fast paths leave to it.

/// A width of varints: bytes at most, and what the last of them may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Width {
    pub(crate) bytes: usize,
    pub(crate) last_byte_max: u8,
}

/// 32 bits.
pub(crate) const INT: Width = Width {
    bytes: 5,
    last_byte_max: 0x0f,
};

/// 64 bits.
pub(crate) const LONG: Width = Width {
    bytes: 10,
    last_byte_max: 0x01,
};

/// A varint before its zigzag is undone, and its bytes.
#[inline(never)]
pub(crate) fn read(bytes: &[u8], width: Width) -> Option<(u64, usize)> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(width.bytes).enumerate() {
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
