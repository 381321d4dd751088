//! UTF-8 checks of borrowed strings.

/// The highest bits of eight bytes, which are zero in ASCII.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Returns the bytes as a string. Strings of ASCII characters, which are most, are checked eight
/// bytes at a time without a call.
///
/// # Errors
/// Returns the number of bytes before the first one that is not UTF-8.
#[inline]
pub fn utf8(bytes: &[u8]) -> Result<&str, usize> {
    if is_ascii(bytes) {
        // SAFETY: no byte has its highest bit set, so the bytes are ASCII and therefore UTF-8.
        return Ok(unsafe { str::from_utf8_unchecked(bytes) });
    }
    checked(bytes)
}

/// Returns whether all bytes are ASCII; false for strings that [`checked`] reads faster.
#[inline]
fn is_ascii(bytes: &[u8]) -> bool {
    let word = |at: usize| {
        let chunk = bytes.get(at..).and_then(|rest| rest.first_chunk());
        chunk.map_or(HIGH_BITS, |chunk| u64::from_le_bytes(*chunk))
    };
    match bytes.len() {
        0..8 => bytes.iter().fold(0, |all, byte| all | byte) < 0x80,
        // The last word overlaps the one before, so that no tail remains.
        8..=16 => (word(0) | word(bytes.len() - 8)) & HIGH_BITS == 0,
        17..=32 => {
            (word(0) | word(8) | word(bytes.len() - 16) | word(bytes.len() - 8)) & HIGH_BITS == 0
        }
        _ => bytes.is_ascii(),
    }
}

/// Returns the bytes as a string. Not inlined, because it is rare and large.
#[inline(never)]
fn checked(bytes: &[u8]) -> Result<&str, usize> {
    simdutf8::compat::from_utf8(bytes).map_err(|error| error.valid_up_to())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: codec/1c
    #[test]
    fn utf8_agrees_with_the_standard_library() {
        for length in 0..70 {
            let mut bytes = vec![b'a'; length];
            assert_eq!(utf8(&bytes), Ok("a".repeat(length).as_str()));
            for at in 0..length {
                for byte in [0x7f, 0x80, 0xc3, 0xff] {
                    bytes[at] = byte;
                    let expected = str::from_utf8(&bytes).map_err(|error| error.valid_up_to());
                    assert_eq!(utf8(&bytes), expected, "{byte:x} at {at} of {length}");
                }
                bytes[at] = b'a';
            }
        }
        assert_eq!(utf8("日本".as_bytes()), Ok("日本"));
    }
}
