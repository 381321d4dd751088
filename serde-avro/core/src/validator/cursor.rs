//! Bounds-checked reads of a datum.

use super::{Need, Reason};

/// A fault without its path.
#[derive(Debug)]
pub(super) struct Rejection {
    pub(super) reason: Reason,
    pub(super) offset: usize,
    pub(super) need: Option<Need>,
}

impl Rejection {
    #[cold]
    pub(super) fn new(reason: Reason, offset: usize) -> Self {
        Self {
            reason,
            offset,
            need: None,
        }
    }

    #[cold]
    pub(super) fn truncated(offset: usize, what: &'static str, bytes: u64) -> Self {
        Self {
            reason: Reason::Truncated,
            offset,
            need: Some(Need { what, bytes }),
        }
    }
}

/// The limits of a varint: the maximum number of bytes, and the maximum value of the last one.
#[derive(Clone, Copy)]
struct Width {
    bytes: usize,
    last_byte_max: u8,
}

const INT: Width = Width {
    bytes: 5,
    last_byte_max: 0x0f,
};
const LONG: Width = Width {
    bytes: 10,
    last_byte_max: 0x01,
};

/// The continuation bits of the varints in eight bytes.
const CONTINUES: u64 = 0x8080_8080_8080_8080;

/// Strings up to this size are first checked for ASCII, which is cheaper than the call.
const SHORT_STRING: usize = 64;

/// Checks UTF-8. Not inlined, because the check is slower where it is.
///
/// # Errors
/// Returns the number of valid bytes.
#[inline(never)]
fn check_utf8(bytes: &[u8]) -> Result<(), usize> {
    str::from_utf8(bytes)
        .map(|_| ())
        .map_err(|error| error.valid_up_to())
}

/// A datum and a position that is never past its end.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'d> {
    data: &'d [u8],
    at: usize,
}

impl<'d> Cursor<'d> {
    pub(super) fn new(data: &'d [u8]) -> Self {
        Self { data, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    #[inline]
    fn rest(&self) -> &'d [u8] {
        self.data.get(self.at..).unwrap_or_default()
    }

    pub(super) fn remaining(&self) -> usize {
        self.data.len() - self.at
    }

    /// Returns the next bytes.
    #[inline]
    pub(super) fn take(&mut self, bytes: usize, what: &'static str) -> Result<&'d [u8], Rejection> {
        match self.rest().get(..bytes) {
            Some(taken) => {
                self.at += bytes;
                Ok(taken)
            }
            None => Err(Rejection::truncated(self.at, what, bytes as u64)),
        }
    }

    #[inline]
    pub(super) fn boolean(&mut self) -> Result<(), Rejection> {
        match self.rest().first() {
            Some(0 | 1) => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(Rejection::new(Reason::BadBool, self.at)),
            None => Err(Rejection::truncated(self.at, "boolean", 1)),
        }
    }

    /// Reads an int and returns it before zigzag decoding.
    #[inline]
    pub(super) fn int(&mut self, what: &'static str) -> Result<u32, Rejection> {
        let wide = self.varint(INT, what)?;
        Ok(u32::try_from(wide).expect("a varint of INT's width has 32 bits"))
    }

    /// Reads a long and returns it before zigzag decoding.
    #[inline]
    pub(super) fn long(&mut self, what: &'static str) -> Result<u64, Rejection> {
        self.varint(LONG, what)
    }

    /// Skips longs while eight bytes contain the end of one and more than eight items are left, and
    /// subtracts them from `left`. At least one item remains.
    #[inline]
    pub(super) fn skip_longs(&mut self, left: &mut u64) {
        while let Some(eight) = self.rest().first_chunk().filter(|_| *left > 8) {
            let ends = !u64::from_le_bytes(*eight) & CONTINUES;
            if ends == 0 {
                return;
            }
            // Advances past the last end within the eight bytes.
            self.at += 8 - (ends.leading_zeros() / 8) as usize;
            *left -= u64::from(ends.count_ones());
        }
    }

    /// Reads a long and returns it after zigzag decoding.
    #[inline]
    pub(super) fn signed(&mut self, what: &'static str) -> Result<i64, Rejection> {
        // The lowest bit is the sign, and inverts the others.
        let zigzag = self.long(what)?;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    /// Returns the value at an offset if it is a long that does not fit into an int.
    #[cold]
    pub(super) fn wide_int(&self, at: usize) -> Option<i64> {
        // A copy: the position of the machine stays at the fault.
        let mut cursor = Cursor { at, ..*self };
        let value = cursor.signed("int").ok()?;
        // An int may also have too many bytes for a value that fits.
        i32::try_from(value).is_err().then_some(value)
    }

    /// Reads a length and returns as many bytes.
    #[inline]
    pub(super) fn bytes(&mut self, what: &'static str) -> Result<&'d [u8], Rejection> {
        let start = self.at;
        let length = self.signed("length")?;
        // A negative length is invalid, not truncated.
        let Ok(length) = u64::try_from(length) else {
            return Err(Rejection::new(Reason::BadVarint, start));
        };
        match usize::try_from(length)
            .ok()
            .and_then(|length| self.rest().get(..length))
        {
            Some(taken) => {
                self.at += taken.len();
                Ok(taken)
            }
            None => Err(Rejection::truncated(self.at, what, length)),
        }
    }

    /// Reads a length and as many bytes, which must be UTF-8.
    #[inline]
    pub(super) fn string(&mut self) -> Result<(), Rejection> {
        let bytes = self.bytes("string")?;
        if bytes.len() <= SHORT_STRING && bytes.is_ascii() {
            return Ok(());
        }
        check_utf8(bytes).map_err(|valid| {
            let start = self.at - bytes.len();
            Rejection::new(Reason::BadUtf8, start + valid)
        })
    }

    #[inline(always)]
    fn varint(&mut self, width: Width, what: &'static str) -> Result<u64, Rejection> {
        let rest = self.rest();
        // One byte is the most frequent length.
        if let Some(byte) = rest.first().filter(|byte| **byte < 0x80) {
            self.at += 1;
            return Ok(u64::from(*byte));
        }
        if let Some(eight) = rest.first_chunk() {
            // A single load finds the end of a varint of up to eight bytes.
            let word = u64::from_le_bytes(*eight);
            let ends = !word & CONTINUES;
            if ends != 0 {
                let bits = ends.trailing_zeros() + 1;
                let bytes = (bits / 8) as usize;
                let value = squeeze(word & (u64::MAX >> (64 - bits)));
                // Eight bytes have 56 bits, within the width of a long.
                if bytes < width.bytes || (value >> 32 == 0 && bytes == width.bytes) {
                    self.at += bytes;
                    return Ok(value);
                }
            }
        }
        self.varint_by_bytes(width, what)
    }

    /// As [`Cursor::varint`], for the end of the data, nine and ten bytes, and faults.
    #[cold]
    fn varint_by_bytes(&mut self, width: Width, what: &'static str) -> Result<u64, Rejection> {
        let mut value = 0;
        for (index, byte) in self.rest().iter().take(width.bytes).enumerate() {
            if index + 1 == width.bytes && *byte > width.last_byte_max {
                return Err(Rejection::new(Reason::BadVarint, self.at));
            }
            value |= u64::from(*byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.at += index + 1;
                return Ok(value);
            }
        }
        Err(Rejection::truncated(
            self.at,
            what,
            self.remaining() as u64 + 1,
        ))
    }
}

/// Compacts eight groups of seven bits into 56 bits.
#[inline]
fn squeeze(word: u64) -> u64 {
    let pairs = (word & 0x007f_007f_007f_007f) | ((word & 0x7f00_7f00_7f00_7f00) >> 1);
    let fours = (pairs & 0x0000_3fff_0000_3fff) | ((pairs & 0x3fff_0000_3fff_0000) >> 2);
    (fours & 0x0fff_ffff) | ((fours & 0x0fff_ffff_0000_0000) >> 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(
        bytes: &[u8],
        read: impl FnOnce(&mut Cursor<'_>) -> Result<u64, Rejection>,
    ) -> String {
        let mut cursor = Cursor::new(bytes);
        match read(&mut cursor) {
            Ok(value) => format!("{value} in {}", cursor.at()),
            Err(rejection) => rejection.reason.code().to_owned(),
        }
    }

    #[test]
    fn varints_are_limited_to_their_width() {
        let table: [(&[u8], &str, &str); 14] = [
            (&[0], "0 in 1", "0 in 1"),
            (&[0x80, 0x01], "128 in 2", "128 in 2"),
            (&[0x80, 0x80, 0], "0 in 3", "0 in 3"),
            (
                &[0xff, 0xff, 0xff, 0xff, 0x0f],
                "4294967295 in 5",
                "4294967295 in 5",
            ),
            (
                &[0xff, 0xff, 0xff, 0xff, 0x1f],
                "bad-varint",
                "8589934591 in 5",
            ),
            (&[0x80, 0x80, 0x80, 0x80, 0x80, 0], "bad-varint", "0 in 6"),
            (
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
                "bad-varint",
                "72057594037927935 in 8",
            ),
            (
                &[0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
                "bad-varint",
                "72057594037927937 in 9",
            ),
            (
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
                "bad-varint",
                "18446744073709551615 in 10",
            ),
            (
                &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02],
                "bad-varint",
                "bad-varint",
            ),
            (
                &[
                    0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0,
                ],
                "bad-varint",
                "bad-varint",
            ),
            (&[], "truncated", "truncated"),
            (&[0x80, 0x80], "truncated", "truncated"),
            (&[0x80, 0x80, 0x80, 0x80, 0x80], "bad-varint", "truncated"),
        ];
        for (bytes, int, long) in table {
            for padding in [0, 16] {
                let complete = !int.contains("trunc") && !long.contains("trunc");
                let mut padded = bytes.to_vec();
                padded.resize(bytes.len() + if complete { padding } else { 0 }, 0);
                assert_eq!(
                    outcome(&padded, |c| c.int("int").map(u64::from)),
                    int,
                    "{bytes:x?}"
                );
                assert_eq!(outcome(&padded, |c| c.long("long")), long, "{bytes:x?}");
            }
        }
    }

    #[test]
    fn zigzag_decodes_extreme_values() {
        let mut ends = [0xff; 10];
        ends[9] = 1;
        assert_eq!(Cursor::new(&ends).signed("long").unwrap(), i64::MIN);
        ends[0] = 0xfe;
        assert_eq!(Cursor::new(&ends).signed("long").unwrap(), i64::MAX);
        assert_eq!(Cursor::new(&[3]).signed("long").unwrap(), -2);
    }
}
