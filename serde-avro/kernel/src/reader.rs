//! Reading a datum, value by value.
//!
//! Invariant: `at <= end`, and the buffer has [`PADDING_BYTES`] bytes behind `end`; so at every place that
//! a reader can stand, 64 bytes can be loaded. Every method keeps it, whatever the bytes are.

use crate::Job;
use crate::lanes::Lanes;
use crate::padded::{PADDING_BYTES, Padded};
use crate::varint::{self, INT, LONG, Width};

/// The continuation bits of eight bytes.
const CONTINUES: u64 = 0x8080_8080_8080_8080;

/// A datum and how far it has been read. After a `None` it stands somewhere within the datum.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'b, L> {
    lanes: L,
    buffer: &'b [u8],
    at: usize,
    end: usize,
}

impl<'b, L: Lanes> Reader<'b, L> {
    /// A reader at a datum's start.
    #[inline(always)]
    pub fn new(lanes: L, datum: Padded<'b>) -> Self {
        Self {
            lanes,
            buffer: datum.buffer(),
            at: 0,
            end: datum.len(),
        }
    }

    /// Bytes read.
    #[inline(always)]
    pub fn at(&self) -> usize {
        self.at
    }

    /// Whether all has been read.
    #[inline(always)]
    pub fn is_at_end(&self) -> bool {
        self.at == self.end
    }

    /// Passes over bytes of any content.
    #[inline(always)]
    pub fn skip(&mut self, bytes: usize) -> Option<()> {
        if bytes > self.end - self.at {
            return None;
        }
        self.at += bytes;
        Some(())
    }

    /// Passes over a byte that is 0 or 1.
    #[inline(always)]
    pub fn boolean(&mut self) -> Option<()> {
        if self.word() & 0xff > 1 {
            return None;
        }
        self.skip(1)
    }

    /// Passes over a varint of 32 bits.
    #[inline(always)]
    pub fn int(&mut self) -> Option<()> {
        self.varint::<{ INT.bytes }>(INT)
    }

    /// Passes over a varint of 64 bits.
    #[inline(always)]
    pub fn long(&mut self) -> Option<()> {
        self.varint::<9>(LONG)
    }

    /// Passes over varints of 32 bits.
    #[inline(always)]
    pub fn ints(&mut self, items: u64) -> Option<()> {
        *self = self.lanes.apart(Ints(*self, items))?;
        Some(())
    }

    /// Passes over varints of 64 bits.
    #[inline(always)]
    pub fn longs(&mut self, items: u64) -> Option<()> {
        *self = self.lanes.apart(Longs(*self, items))?;
        Some(())
    }

    /// A place in a list of so many: a varint of 32 bits, its zigzag undone.
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

    /// Passes over one byte if it is the given one.
    #[inline(always)]
    pub fn byte_is(&mut self, byte: u8) -> bool {
        self.word() & 0xff == u64::from(byte) && self.skip(1).is_some()
    }

    /// A long, its zigzag undone.
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

    /// Passes over a length and so many bytes.
    #[inline(always)]
    pub fn bytes(&mut self) -> Option<()> {
        self.sized().map(|_| ())
    }

    /// Passes over a length and so many bytes of UTF-8.
    #[inline(always)]
    pub fn string(&mut self) -> Option<()> {
        let length = self.sized()?;
        let start = self.at - length;
        if length <= 32 {
            // SAFETY: `start` is at most `at`, and behind that is the slack.
            let high = u64::from(unsafe { self.lanes.high_bits_32(self.buffer, start) });
            if high & !(u64::MAX << length) == 0 {
                return Some(());
            }
            return is_utf8(&self.buffer[start..self.at]);
        }
        self.long_string(start)
    }

    /// Passes over a union of a text and what takes no bytes, whose index is the byte `absent`, 0
    /// or 2. Which of them it is decides no jump, since nothing predicts that.
    #[inline(always)]
    pub fn optional_string(&mut self, absent: u8) -> Option<()> {
        let word = self.word();
        let zigzag = word & 0xff;
        let is_string = (zigzag ^ u64::from(absent)) >> 1;
        // Ones if it is a text.
        let all = is_string.wrapping_neg();
        let length_byte = (word >> 8) & all & 0xff;
        let length = length_byte >> 1;
        if zigzag & !2 != 0 || length_byte & 1 != 0 || length > 32 {
            return self.optional_string_by_branches(absent);
        }
        let bytes = usize::try_from(1 + is_string + length).ok()?;
        // SAFETY: two bytes from `at` on, where 64 can be loaded, and 32 of the 62 behind them.
        let high = u64::from(unsafe { self.lanes.high_bits_32(self.buffer, self.at + 2) });
        if high & !(u64::MAX << length) != 0 {
            return self.optional_string_by_branches(absent);
        }
        self.skip(bytes)
    }

    /// The same for long texts, other characters, indexes longer than they must be, and faults.
    #[inline(always)]
    fn optional_string_by_branches(&mut self, absent: u8) -> Option<()> {
        match self.index(2)? == u32::from(absent >> 1) {
            true => Some(()),
            false => self.string(),
        }
    }

    /// The rest of a text from `start` on, 64 bytes after the other.
    #[inline(always)]
    fn long_string(&self, mut start: usize) -> Option<()> {
        while start < self.at {
            // SAFETY: `start` is at most `at`, and behind that is the slack.
            let high = unsafe { self.lanes.high_bits(self.buffer, start) };
            let left = self.at - start;
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

    /// Eight bytes, the first lowest.
    #[inline(always)]
    fn word(&self) -> u64 {
        debug_assert!(self.at <= self.end && self.end + PADDING_BYTES <= self.buffer.len());
        // SAFETY: by the invariant, PADDING_BYTES bytes can be loaded at `at`.
        unsafe { self.lanes.word(self.buffer, self.at) }
    }

    /// A length and so many bytes; returns the length, and stands behind the bytes.
    #[inline(always)]
    fn sized(&mut self) -> Option<usize> {
        let word = self.word();
        let (zigzag, bytes) = if word & 0x80 == 0 {
            (word & 0x7f, 1)
        } else if word & 0x8000 == 0 {
            ((word & 0x7f) | ((word >> 1) & 0x3f80), 2)
        } else {
            (self.slow(LONG)?, 0)
        };
        if zigzag & 1 != 0 {
            return None;
        }
        let length = usize::try_from(zigzag >> 1).ok()?;
        // A length is below 2^63, so the sum is right.
        self.skip(length + bytes)?;
        Some(length)
    }

    /// Passes over a varint that ends before `SURE` bytes whatever they hold.
    #[inline(always)]
    fn varint<const SURE: usize>(&mut self, width: Width) -> Option<()> {
        let ends = !self.word() & CONTINUES;
        let bytes = (ends.trailing_zeros() / 8) as usize + 1;
        if bytes < SURE {
            return self.skip(bytes);
        }
        self.slow(width).map(|_| ())
    }

    /// A varint, before its zigzag is undone.
    #[inline(always)]
    fn slow(&mut self, width: Width) -> Option<u64> {
        let (zigzag, bytes) = varint::read(&self.buffer[self.at..self.end], width)?;
        self.skip(bytes)?;
        Some(zigzag)
    }

    /// Passes over varints, 64 bytes after the other, wherever they start and end in them.
    ///
    /// A varint may have so many continuing bytes, and where it has them, a small one must follow.
    /// `full` tells the last of so many: it is given which bytes continue, and which of the 64
    /// before did.
    #[inline(always)]
    fn varints(&mut self, items: u64, width: Width, full: impl Fn(u64, u64) -> u64) -> Option<()> {
        let continuing_max = u32::try_from(width.bytes - 1).ok()?;
        let mut left = items;
        let mut at = self.at;
        let mut before = 0_u64;
        while at <= self.end {
            // SAFETY: `at` is at most `end`, and behind that is the slack.
            let high = unsafe { self.lanes.high_bits(self.buffer, at) };
            let ends = !high;
            let count = u64::from(ends.count_ones());
            let is_done = count >= left;
            let own_bytes = if is_done { nth(ends, left) + 1 } else { 64 };
            let carried = before.leading_ones();
            // Looking at both halves apart spares shifts across them, which some processors are
            // slow at.
            if full(high, 0) != 0 || carried + high.trailing_ones() >= continuing_max {
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

/// So many ints at a reader's place; the reader behind them.
struct Ints<'b, L>(Reader<'b, L>, u64);

/// So many longs at a reader's place; the reader behind them.
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
            let fours_here = fours(high, before);
            let eights = fours_here & shifted(fours_here, fours(before, 0), 4);
            eights & shifted(high, before, 8)
        })?;
        Some(reader)
    }
}

/// Which bytes are the last of four that continue, some of them maybe in the bytes before.
#[inline(always)]
fn fours(high: u64, before: u64) -> u64 {
    let pairs = high & shifted(high, before, 1);
    let pairs_before = before & before << 1;
    pairs & shifted(pairs, pairs_before, 2)
}

/// The bits moved up by `by`, those before moved in.
#[inline(always)]
fn shifted(bits: u64, before: u64, by: u32) -> u64 {
    bits << by | before >> (64 - by)
}

/// Where the `n`th bit is that is set, counted from 1; there are as many.
#[inline(always)]
fn nth(bits: u64, n: u64) -> u32 {
    let mut bits = bits;
    for _ in 1..n {
        bits &= bits - 1;
    }
    bits.trailing_zeros()
}

#[inline(never)]
fn is_utf8(bytes: &[u8]) -> Option<()> {
    simdutf8::basic::from_utf8(bytes).ok().map(|_| ())
}
