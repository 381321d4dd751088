//! A reader that skips over the values of a datum.
//!
//! Invariant: `at <= end`, and the buffer has at least [`PADDING_BYTES`] bytes after `end`. So 64
//! bytes can be loaded at every position. Every method keeps the invariant for any input.

use crate::Job;
use crate::lanes::Lanes;
use crate::padded::{PADDING_BYTES, Padded};
use crate::varint::{self, INT, LONG, Width};

/// The continuation bits of the varints in eight bytes.
const CONTINUES: u64 = 0x8080_8080_8080_8080;

/// A datum and a position in it. After a method has returned `None`, the position is unspecified
/// but still within the datum.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'b, L> {
    lanes: L,
    buffer: &'b [u8],
    at: usize,
    end: usize,
}

impl<'b, L: Lanes> Reader<'b, L> {
    /// Creates a reader at the start of a datum.
    #[inline(always)]
    pub fn new(lanes: L, datum: Padded<'b>) -> Self {
        Self {
            lanes,
            buffer: datum.buffer(),
            at: 0,
            end: datum.len(),
        }
    }

    /// Returns the number of bytes read.
    #[inline(always)]
    pub fn at(&self) -> usize {
        self.at
    }

    /// Returns whether all bytes have been read.
    #[inline(always)]
    pub fn is_at_end(&self) -> bool {
        self.at == self.end
    }

    /// Skips a number of bytes of any value.
    #[inline(always)]
    pub fn skip(&mut self, bytes: usize) -> Option<()> {
        if bytes > self.end - self.at {
            return None;
        }
        self.at += bytes;
        Some(())
    }

    /// Skips a byte that is 0 or 1.
    #[inline(always)]
    pub fn boolean(&mut self) -> Option<()> {
        if self.word() & 0xff > 1 {
            return None;
        }
        self.skip(1)
    }

    /// Skips a varint of 32 bits.
    #[inline(always)]
    pub fn int(&mut self) -> Option<()> {
        self.varint::<{ INT.bytes }>(INT)
    }

    /// Skips a varint of 64 bits.
    #[inline(always)]
    pub fn long(&mut self) -> Option<()> {
        self.varint::<9>(LONG)
    }

    /// Skips a number of varints of 32 bits.
    #[inline(always)]
    pub fn ints(&mut self, items: u64) -> Option<()> {
        *self = self.lanes.run_outlined(Ints(*self, items))?;
        Some(())
    }

    /// Skips a number of varints of 64 bits.
    #[inline(always)]
    pub fn longs(&mut self, items: u64) -> Option<()> {
        *self = self.lanes.run_outlined(Longs(*self, items))?;
        Some(())
    }

    /// Reads an index below `count`: a varint of 32 bits in zigzag encoding.
    #[inline(always)]
    pub fn index(&mut self, count: u32) -> Option<u32> {
        let byte = self.word() & 0xff;
        let zigzag = if byte < 0x80 {
            self.skip(1)?;
            byte
        } else {
            self.slow(INT)?
        };
        let index = u32::try_from(zigzag >> 1).ok()?;
        (zigzag & 1 == 0 && index < count).then_some(index)
    }

    /// Skips the next byte and returns true if it equals `byte`.
    #[inline(always)]
    pub fn byte_is(&mut self, byte: u8) -> bool {
        self.word() & 0xff == u64::from(byte) && self.skip(1).is_some()
    }

    /// Reads a long and returns it after zigzag decoding.
    #[inline(always)]
    pub fn signed(&mut self) -> Option<i64> {
        let byte = self.word() & 0xff;
        let zigzag = if byte < 0x80 {
            self.skip(1)?;
            byte
        } else {
            self.slow(LONG)?
        };
        Some((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    /// Skips a length and as many bytes.
    #[inline(always)]
    pub fn bytes(&mut self) -> Option<()> {
        self.sized().map(|_| ())
    }

    /// Skips a length and as many bytes, which must be UTF-8.
    #[inline(always)]
    pub fn string(&mut self) -> Option<()> {
        let length = self.sized()?;
        let start = self.at - length;
        if length <= 32 {
            // SAFETY: `start <= at <= end`, and the padding follows `end`.
            let high = u64::from(unsafe { self.lanes.high_bits_32(self.buffer, start) });
            // Bits of bytes after the string are masked out; what remains is not ASCII.
            if high & !(u64::MAX << length) == 0 {
                return Some(());
            }
            return is_utf8(&self.buffer[start..self.at]);
        }
        self.long_string(start)
    }

    /// Skips a union of a string and a branch without bytes. `absent` is the encoded index of the
    /// latter, 0 or 2. There is no conditional jump on the branch, because data make it
    /// unpredictable.
    #[inline(always)]
    pub fn optional_string(&mut self, absent: u8) -> Option<()> {
        let word = self.word();
        let zigzag = word & 0xff;
        let is_string = (zigzag ^ u64::from(absent)) >> 1;
        // All ones if the branch is the string, else zero: selects the length without a jump.
        let all = is_string.wrapping_neg();
        let length_byte = (word >> 8) & all & 0xff;
        let length = length_byte >> 1;
        if zigzag & !2 != 0 || length_byte & 1 != 0 || length > 32 {
            return self.optional_string_by_branches(absent);
        }
        let bytes = usize::try_from(1 + is_string + length).ok()?;
        // SAFETY: 64 bytes can be loaded at `at`, so 62 at `at + 2`; this loads 32.
        let high = u64::from(unsafe { self.lanes.high_bits_32(self.buffer, self.at + 2) });
        if high & !(u64::MAX << length) != 0 {
            return self.optional_string_by_branches(absent);
        }
        self.skip(bytes)
    }

    /// As [`Reader::optional_string`], for long strings, characters beyond ASCII, over-long varints
    /// and invalid data.
    #[inline(always)]
    fn optional_string_by_branches(&mut self, absent: u8) -> Option<()> {
        match self.index(2)? == u32::from(absent >> 1) {
            true => Some(()),
            false => self.string(),
        }
    }

    /// Checks the UTF-8 of the bytes from `start` to the position, 64 at a time while they are
    /// ASCII.
    #[inline(always)]
    fn long_string(&self, mut start: usize) -> Option<()> {
        while start < self.at {
            // SAFETY: `start < at <= end`, and the padding follows `end`.
            let high = unsafe { self.lanes.high_bits(self.buffer, start) };
            let left = self.at - start;
            // A shift by 64 would overflow, hence the branch.
            let own = if left >= 64 {
                high
            } else {
                high & !(u64::MAX << left)
            };
            if own != 0 {
                return is_utf8(&self.buffer[start..self.at]);
            }
            start += 64;
        }
        Some(())
    }

    /// Returns the next eight bytes as a little-endian number; bytes after the end are padding.
    #[inline(always)]
    fn word(&self) -> u64 {
        debug_assert!(self.at <= self.end && self.end + PADDING_BYTES <= self.buffer.len());
        // SAFETY: by the invariant, PADDING_BYTES bytes can be loaded at `at`.
        unsafe { self.lanes.word(self.buffer, self.at) }
    }

    /// Skips a length and as many bytes, and returns the length.
    #[inline(always)]
    fn sized(&mut self) -> Option<usize> {
        let word = self.word();
        let (zigzag, bytes) = if word & 0x80 == 0 {
            (word & 0x7f, 1)
        } else if word & 0x8000 == 0 {
            // Two bytes of seven bits: the second moves down by the continuation bit of the first.
            ((word & 0x7f) | ((word >> 1) & 0x3f80), 2)
        } else {
            (self.slow(LONG)?, 0)
        };
        if zigzag & 1 != 0 {
            return None;
        }
        let length = usize::try_from(zigzag >> 1).ok()?;
        // The length is less than 2^63, so the addition does not overflow.
        self.skip(length + bytes)?;
        Some(length)
    }

    /// Skips a varint. One shorter than `SURE` bytes is within its width for any value.
    #[inline(always)]
    fn varint<const SURE: usize>(&mut self, width: Width) -> Option<()> {
        // Without an end within eight bytes, trailing_zeros is 64 and `bytes` is 9.
        let ends = !self.word() & CONTINUES;
        let bytes = (ends.trailing_zeros() / 8) as usize + 1;
        if bytes < SURE {
            return self.skip(bytes);
        }
        self.slow(width).map(|_| ())
    }

    /// Reads a varint and returns it before zigzag decoding.
    #[inline(always)]
    fn slow(&mut self, width: Width) -> Option<u64> {
        let (zigzag, bytes) = varint::read(&self.buffer[self.at..self.end], width)?;
        self.skip(bytes)?;
        Some(zigzag)
    }

    /// Skips varints, 64 bytes at a time, regardless of where they start and end within these.
    ///
    /// A varint has at most `width.bytes - 1` continuation bytes, and if it has that many, its last
    /// byte is at most `width.last_byte_max`. `full` returns the bytes that are the last of that
    /// many continuation bytes in a row; its arguments are the continuation bits of these 64 bytes
    /// and of the 64 before.
    #[inline(always)]
    fn varints(&mut self, items: u64, width: Width, full: impl Fn(u64, u64) -> u64) -> Option<()> {
        let continuing_max = u32::try_from(width.bytes - 1).ok()?;
        let mut left = items;
        let mut at = self.at;
        let mut before = 0_u64;
        while at <= self.end {
            // SAFETY: `at <= end`, and the padding follows `end`.
            let high = unsafe { self.lanes.high_bits(self.buffer, at) };
            let ends = !high;
            // Each varint has exactly one byte without a continuation bit.
            let count = u64::from(ends.count_ones());
            let is_done = count >= left;
            let own_bytes = if is_done { nth(ends, left) + 1 } else { 64 };
            let carried = before.leading_ones();
            // The common case has no maximal varint here or across the boundary. Testing both
            // separately avoids 128-bit shifts, which are slow on some processors.
            if full(high, 0) != 0 || carried + high.trailing_ones() >= continuing_max {
                // The byte after a maximal run is the last byte of its varint.
                let last = full(high, before) << 1 | u64::from(carried >= continuing_max);
                // SAFETY: as above.
                let above = unsafe { self.lanes.above(self.buffer, at, width.last_byte_max) };
                if last & above & (u64::MAX >> (64 - own_bytes)) != 0 {
                    return None;
                }
            }
            if is_done {
                return self.skip(at + own_bytes as usize - self.at);
            }
            left -= count;
            at += 64;
            before = high;
        }
        None
    }
}

/// Skips a number of ints from the position of a reader; returns the reader after them.
struct Ints<'b, L>(Reader<'b, L>, u64);

/// Skips a number of longs from the position of a reader; returns the reader after them.
struct Longs<'b, L>(Reader<'b, L>, u64);

impl<'b, L: Lanes> Job for Ints<'b, L> {
    type Output = Option<Reader<'b, L>>;

    #[inline(always)]
    fn run<Same: Lanes>(self, _: Same) -> Self::Output {
        let Self(mut reader, items) = self;
        reader.varints(items, INT, fours)?;
        Some(reader)
    }
}

impl<'b, L: Lanes> Job for Longs<'b, L> {
    type Output = Option<Reader<'b, L>>;

    #[inline(always)]
    fn run<Same: Lanes>(self, _: Same) -> Self::Output {
        let Self(mut reader, items) = self;
        reader.varints(items, LONG, |high, before| {
            // Nine in a row: four, then four, then one more.
            let fours_here = fours(high, before);
            let eights = fours_here & shifted(fours_here, fours(before, 0), 4);
            eights & shifted(high, before, 8)
        })?;
        Some(reader)
    }
}

/// Returns a bit for each byte that is the last of four continuation bytes in a row, which may
/// start in the 64 bytes before.
#[inline(always)]
fn fours(high: u64, before: u64) -> u64 {
    let pairs = high & shifted(high, before, 1);
    let pairs_before = before & before << 1;
    pairs & shifted(pairs, pairs_before, 2)
}

/// Returns `bits` shifted left by `by`, with the highest bits of `before` shifted in.
#[inline(always)]
fn shifted(bits: u64, before: u64, by: u32) -> u64 {
    bits << by | before >> (64 - by)
}

/// Returns the position of the `n`th set bit, counted from 1. At least `n` bits are set.
#[inline(always)]
fn nth(bits: u64, n: u64) -> u32 {
    let mut bits = bits;
    // Clears the lowest set bit n - 1 times; n is at most 64.
    for _ in 1..n {
        bits &= bits - 1;
    }
    bits.trailing_zeros()
}

/// Checks UTF-8. Not inlined, because it is rare and large.
#[inline(never)]
fn is_utf8(bytes: &[u8]) -> Option<()> {
    simdutf8::basic::from_utf8(bytes).ok().map(|_| ())
}
