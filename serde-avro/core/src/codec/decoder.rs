//! A decoder of the primitive values and the structure of a datum.
//!
//! Invariant: each read is checked against the rest of the datum, and each count against a budget,
//! before anything is allocated.

use super::error::{DecodeError, DecodeErrorKind};
use crate::validator::{Budget, Need, Reason};
use avouch_avro_kernel::utf8;

/// The continuation bits of the varints in eight bytes.
const CONTINUES: u64 = 0x8080_8080_8080_8080;

/// The maximum number of bytes of the native stack that nested values may use. Decoding of values
/// that contain themselves is recursive; the smallest common stack of a thread has 2 MiB.
const STACK_BYTES_MAX: usize = 1 << 20;

/// Reads the values of a datum in order.
///
/// The rules are those of the [validator](crate::validator): a boolean is 0 or 1, strings are
/// UTF-8, varints are within their width, and the size of a block is exact. After an error the
/// position is unspecified.
#[derive(Debug)]
pub struct Decoder<'de> {
    rest: &'de [u8],
    len: usize,
    depth_left: u32,
    items_left: u64,
    bytes_left: u64,
    stack_base: usize,
}

/// The blocks of an array or map that is being read.
#[derive(Debug)]
#[must_use]
pub struct Blocks {
    /// The end of the current block, if it declares a size.
    end: Option<usize>,
}

impl<'de> Decoder<'de> {
    /// Creates a decoder of a datum, with the default [`Budget`].
    #[inline]
    #[must_use]
    pub fn new(datum: &'de [u8]) -> Self {
        Self::with_budget(datum, Budget::default())
    }

    /// Creates a decoder of a datum, with a budget. [`Budget::depth`] counts arrays, maps and boxed
    /// values, of which every value that contains itself has one.
    #[inline]
    #[must_use]
    pub fn with_budget(datum: &'de [u8], budget: Budget) -> Self {
        Self {
            rest: datum,
            len: datum.len(),
            depth_left: budget.depth,
            items_left: budget.items,
            bytes_left: budget.bytes,
            stack_base: stack_position(),
        }
    }

    /// Returns the number of bytes that were read.
    #[inline]
    #[must_use]
    pub fn offset(&self) -> usize {
        self.len - self.rest.len()
    }

    /// Returns the bytes that were not read yet.
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> &'de [u8] {
        self.rest
    }

    /// Reads a null, which has no bytes.
    ///
    /// # Errors
    /// Never.
    #[inline]
    pub fn null(&mut self) -> Result<(), DecodeError> {
        Ok(())
    }

    /// Reads a boolean.
    ///
    /// # Errors
    /// If the datum ends or the byte is neither 0 nor 1.
    #[inline]
    pub fn boolean(&mut self) -> Result<bool, DecodeError> {
        let Some((byte @ 0..=1, rest)) = self.rest.split_first() else {
            return Err(self.bad_boolean());
        };
        self.rest = rest;
        Ok(*byte == 1)
    }

    /// Reads an int.
    ///
    /// # Errors
    /// If the datum ends or the varint has more than 5 bytes or 32 bits.
    #[inline]
    pub fn int(&mut self) -> Result<i32, DecodeError> {
        if let Some((byte @ 0..0x80, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Ok((i32::from(*byte) >> 1) ^ -(i32::from(*byte) & 1));
        }
        let zigzag = self.wide_int("int")?;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    /// Reads a long.
    ///
    /// # Errors
    /// If the datum ends or the varint has more than 10 bytes or 64 bits.
    #[inline]
    pub fn long(&mut self) -> Result<i64, DecodeError> {
        let zigzag = self.wide_varint("long")?;
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    /// Reads a float.
    ///
    /// # Errors
    /// If the datum ends.
    #[inline]
    pub fn float(&mut self) -> Result<f32, DecodeError> {
        self.chunk("float").map(|bytes| f32::from_le_bytes(*bytes))
    }

    /// Reads a double.
    ///
    /// # Errors
    /// If the datum ends.
    #[inline]
    pub fn double(&mut self) -> Result<f64, DecodeError> {
        self.chunk("double").map(|bytes| f64::from_le_bytes(*bytes))
    }

    /// Reads bytes with their length.
    ///
    /// # Errors
    /// If the datum ends or the length is negative.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'de [u8], DecodeError> {
        let start = self.offset();
        let zigzag = self.varint("length")?;
        // A negative length has an odd encoding.
        if zigzag & 1 == 0
            && let Ok(length) = usize::try_from(zigzag >> 1)
            && let Some((bytes, rest)) = self.rest.split_at_checked(length)
        {
            self.rest = rest;
            return Ok(bytes);
        }
        Err(self.bad_length(start, zigzag))
    }

    /// Reads a string with its length.
    ///
    /// # Errors
    /// If the datum ends, the length is negative or the bytes are not UTF-8.
    #[inline]
    pub fn string(&mut self) -> Result<&'de str, DecodeError> {
        let bytes = self.bytes()?;
        utf8(bytes).map_err(|valid| {
            let start = self.offset() - bytes.len();
            self.fault_at(Reason::BadUtf8, start + valid)
        })
    }

    /// Reads a fixed of `N` bytes.
    ///
    /// # Errors
    /// If the datum ends.
    #[inline]
    pub fn fixed<const N: usize>(&mut self) -> Result<&'de [u8; N], DecodeError> {
        self.chunk("fixed")
    }

    /// Reads a fixed.
    ///
    /// # Errors
    /// If the datum ends.
    #[inline]
    pub fn fixed_slice(&mut self, size: usize) -> Result<&'de [u8], DecodeError> {
        let Some((bytes, rest)) = self.rest.split_at_checked(size) else {
            return Err(self.truncated("fixed", size));
        };
        self.rest = rest;
        Ok(bytes)
    }

    /// Reads the index of a symbol of an enum with this number of symbols.
    ///
    /// # Errors
    /// If the datum ends or the enum has no symbol with the index.
    #[inline]
    pub fn enum_index(&mut self, symbols: u32) -> Result<u32, DecodeError> {
        self.index(symbols, "enum", Reason::BadEnum)
    }

    /// Reads the index of a branch of a union with this number of branches.
    ///
    /// # Errors
    /// If the datum ends or the union has no branch with the index.
    #[inline]
    pub fn union_index(&mut self, branches: u32) -> Result<u32, DecodeError> {
        self.index(branches, "union index", Reason::BadUnion)
    }

    /// Starts an array or map. [`Blocks::next`] reads the block headers.
    ///
    /// # Errors
    /// If the nesting exceeds the budget.
    #[inline]
    pub fn blocks(&mut self) -> Result<Blocks, DecodeError> {
        self.enter()?;
        Ok(Blocks { end: None })
    }

    /// Counts a level of nesting; [`Decoder::leave`] ends it. Called for each value whose type may
    /// contain itself.
    ///
    /// # Errors
    /// If the nesting exceeds the budget, or the values so far use more than 1 MiB of the stack.
    #[inline]
    pub fn enter(&mut self) -> Result<(), DecodeError> {
        let used = self.stack_base.abs_diff(stack_position());
        if self.depth_left == 0 || used > STACK_BYTES_MAX {
            return Err(self.fault(Reason::TooDeep));
        }
        self.depth_left -= 1;
        Ok(())
    }

    /// Ends a level of nesting.
    #[inline]
    pub fn leave(&mut self) {
        self.depth_left += 1;
    }

    /// Counts the memory of values that are about to be decoded, against [`Budget::bytes`]. Returns
    /// how many of them to reserve space for: no more than bytes are left.
    ///
    /// # Errors
    /// If the decoded values exceed the budget.
    #[inline]
    pub fn allocate<T>(&mut self, values: usize) -> Result<usize, DecodeError> {
        let size = u64::try_from(values).unwrap_or(u64::MAX);
        let size = size.saturating_mul(size_of::<T>() as u64);
        let Some(left) = self.bytes_left.checked_sub(size) else {
            return Err(self.error(DecodeErrorKind::TooLarge));
        };
        self.bytes_left = left;
        Ok(values.min(self.rest.len()))
    }

    /// Checks that no bytes are left.
    ///
    /// # Errors
    /// If bytes follow the value.
    #[inline]
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            return Ok(());
        }
        Err(self.fault(Reason::TrailingBytes))
    }

    /// Returns an error at the position.
    #[cold]
    #[must_use]
    pub fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(kind, self.offset(), self.len)
    }

    /// Returns an error for a value of the datum, ended at the position, that the Rust type does
    /// not have. `message` must not contain data.
    #[cold]
    #[must_use]
    pub fn value_error(&self, message: &'static str) -> DecodeError {
        self.error(DecodeErrorKind::Value(message.into()))
    }

    /// Moves to an offset of the datum that was read before.
    pub(crate) fn seek(&mut self, datum: &'de [u8], offset: usize) {
        self.rest = datum.get(offset..).unwrap_or_default();
    }

    #[cold]
    pub(crate) fn fault(&self, reason: Reason) -> DecodeError {
        self.error(DecodeErrorKind::Fault(reason))
    }

    #[cold]
    fn fault_at(&self, reason: Reason, offset: usize) -> DecodeError {
        DecodeError::new(DecodeErrorKind::Fault(reason), offset, self.len)
    }

    #[cold]
    fn truncated(&self, what: &'static str, bytes: usize) -> DecodeError {
        let bytes = bytes as u64;
        self.fault(Reason::Truncated)
            .with_need(Need { what, bytes })
    }

    #[cold]
    fn bad_boolean(&self) -> DecodeError {
        match self.rest {
            [] => self.truncated("boolean", 1),
            _ => self.fault(Reason::BadBool),
        }
    }

    #[cold]
    fn bad_length(&self, start: usize, zigzag: u64) -> DecodeError {
        match usize::try_from(zigzag >> 1) {
            Ok(length) if zigzag & 1 == 0 => self.truncated("bytes", length),
            _ => self.fault_at(Reason::BadVarint, start),
        }
    }

    #[inline]
    fn chunk<const N: usize>(&mut self, what: &'static str) -> Result<&'de [u8; N], DecodeError> {
        let Some((bytes, rest)) = self.rest.split_first_chunk() else {
            return Err(self.truncated(what, N));
        };
        self.rest = rest;
        Ok(bytes)
    }

    #[inline]
    fn index(
        &mut self,
        count: u32,
        what: &'static str,
        reason: Reason,
    ) -> Result<u32, DecodeError> {
        let start = self.offset();
        let zigzag = match self.rest.split_first() {
            Some((byte @ 0..0x80, rest)) => {
                self.rest = rest;
                u32::from(*byte)
            }
            _ => self.wide_int(what)?,
        };
        // A negative index has an odd encoding.
        if zigzag & 1 == 0 && zigzag >> 1 < count {
            return Ok(zigzag >> 1);
        }
        Err(self.fault_at(reason, start))
    }

    /// Reads a varint of up to 64 bits, before zigzag decoding. Optimized for one byte, which most
    /// lengths and counts have.
    #[inline]
    pub(crate) fn varint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        if let Some((byte @ 0..0x80, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.outlined_varint(what)
    }

    #[inline(never)]
    fn outlined_varint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        self.wide_varint(what)
    }

    /// Reads a varint of any number of bytes, of which eight are available in most cases.
    #[inline]
    fn wide_varint(&mut self, what: &'static str) -> Result<u64, DecodeError> {
        if let Some(chunk) = self.rest.first_chunk() {
            let word = u64::from_le_bytes(*chunk);
            let ends = !word & CONTINUES;
            if ends != 0 {
                let bytes = ends.trailing_zeros() / 8 + 1;
                self.rest = &self.rest[bytes as usize..];
                return Ok(compact(word & (u64::MAX >> (64 - 8 * bytes))));
            }
        }
        self.varint_by_bytes(what, 10, 1)
    }

    /// Reads a varint of up to 32 bits, before zigzag decoding.
    fn wide_int(&mut self, what: &'static str) -> Result<u32, DecodeError> {
        if let Some(chunk) = self.rest.first_chunk() {
            let word = u32::from_le_bytes(*chunk);
            // The first byte without a continuation bit; 4 if there is none.
            let last = (!u64::from(word) & CONTINUES).trailing_zeros() / 8;
            if last < 4 {
                self.rest = &self.rest[last as usize + 1..];
                let value = compact(u64::from(word & (u32::MAX >> (24 - 8 * last))));
                return Ok(u32::try_from(value).unwrap_or(u32::MAX));
            }
        }
        let value = self.varint_by_bytes(what, 5, 0x0f)?;
        // Five bytes of which the last is at most 15 have 32 bits.
        Ok(u32::try_from(value).unwrap_or(u32::MAX))
    }

    #[inline(never)]
    fn varint_by_bytes(
        &mut self,
        what: &'static str,
        bytes_max: usize,
        last_byte_max: u8,
    ) -> Result<u64, DecodeError> {
        let mut value = 0;
        for (index, byte) in self.rest.iter().take(bytes_max).enumerate() {
            if index + 1 == bytes_max && *byte > last_byte_max {
                return Err(self.fault(Reason::BadVarint));
            }
            value |= u64::from(*byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                self.rest = self.rest.get(index + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(self.truncated(what, self.rest.len() + 1))
    }
}

impl Blocks {
    /// Reads the header of the next block. Returns the number of its items, or `None` at the end of
    /// the array or map.
    ///
    /// # Errors
    /// If the header is invalid, the previous block does not end where it declares, or the items
    /// exceed the budget.
    #[inline]
    pub fn next(&mut self, input: &mut Decoder<'_>) -> Result<Option<usize>, DecodeError> {
        if self.end.is_some_and(|end| end != input.offset()) {
            return Err(input.fault(Reason::BadBlock));
        }
        let start = input.offset();
        let zigzag = input.varint("block count")?;
        if zigzag == 0 {
            input.leave();
            return Ok(None);
        }
        // The count may be i64::MIN, which has no positive counterpart.
        let count = (zigzag >> 1) + (zigzag & 1);
        let Some(items_left) = input.items_left.checked_sub(count) else {
            return Err(input.fault_at(Reason::TooComplex, start));
        };
        input.items_left = items_left;
        self.end = None;
        if zigzag & 1 == 1 {
            let start = input.offset();
            let size = input.varint("block size")?;
            if size & 1 == 1 {
                return Err(input.fault_at(Reason::BadBlock, start));
            }
            // A size beyond the datum is never reached, so the block is rejected at its end.
            let size = usize::try_from(size >> 1).unwrap_or(usize::MAX);
            self.end = Some(input.offset().saturating_add(size));
        }
        let count = usize::try_from(count).map_err(|_| input.fault(Reason::TooComplex))?;
        Ok(Some(count))
    }
}

/// Removes the continuation bits of a varint of up to eight bytes.
#[inline]
fn compact(word: u64) -> u64 {
    // Pairs of 7 bits become 14, then 28, then 56.
    let word = (word & 0x007f_007f_007f_007f) | ((word & 0x7f00_7f00_7f00_7f00) >> 1);
    let word = (word & 0x0000_3fff_0000_3fff) | ((word & 0x3fff_0000_3fff_0000) >> 2);
    (word & 0x0fff_ffff) | ((word & 0x0fff_ffff_0000_0000) >> 4)
}

/// Returns the address of a local variable, which approximates the use of the stack.
#[inline(always)]
fn stack_position() -> usize {
    let marker = 0_u8;
    std::ptr::from_ref(std::hint::black_box(&marker)).addr()
}
