//! Data that are followed by readable bytes.

use std::mem::MaybeUninit;

/// The number of readable bytes after a [`Padded`] datum. Their values never affect a result.
pub const PADDING_BYTES: usize = 64;

/// A datum that is followed by at least [`PADDING_BYTES`] readable bytes of the same buffer.
#[derive(Clone, Copy, Debug)]
pub struct Padded<'b> {
    /// The datum, then the padding. Invariant: at least `len + PADDING_BYTES` bytes.
    buffer: &'b [u8],
    len: usize,
}

impl<'b> Padded<'b> {
    /// Returns the first `len` bytes of a buffer as a datum, or `None` if fewer than
    /// [`PADDING_BYTES`] bytes follow them.
    #[inline]
    #[must_use]
    pub fn new(buffer: &'b [u8], len: usize) -> Option<Self> {
        let needed = len.checked_add(PADDING_BYTES)?;
        (needed <= buffer.len()).then_some(Self { buffer, len })
    }

    /// Returns a datum that is a slice of a larger buffer, or `None` if it is not, or if fewer than
    /// [`PADDING_BYTES`] bytes of the buffer follow it.
    #[inline]
    #[must_use]
    pub fn within(buffer: &'b [u8], datum: &[u8]) -> Option<Self> {
        let start = datum.as_ptr().addr().checked_sub(buffer.as_ptr().addr())?;
        Self::new(buffer.get(start..)?, datum.len())
    }

    /// Runs a job on a padded copy of a datum and returns its result. The copy is on the stack up
    /// to about 4,000 bytes; a longer datum takes one allocation.
    #[inline]
    pub fn copied<R>(datum: &[u8], job: impl FnOnce(Padded<'_>) -> R) -> R {
        if datum.len() > STACK_BYTES - PADDING_BYTES {
            return copied_to_heap(datum, job);
        }
        // Not zeroed: clearing 4 KiB would cost more than the validation of a typical datum.
        let mut copy = [MaybeUninit::<u8>::uninit(); STACK_BYTES];
        let start = copy.as_mut_ptr().cast::<u8>();
        // SAFETY: the datum has at most STACK_BYTES - PADDING_BYTES bytes and does not overlap
        // `copy`.
        unsafe { start.copy_from_nonoverlapping(datum.as_ptr(), datum.len()) };
        // SAFETY: for the same reason the padding ends within `copy`.
        let padding = unsafe { start.add(datum.len()) };
        // SAFETY: as above, and the padding starts where the datum ends.
        unsafe { padding.write_bytes(0, PADDING_BYTES) };
        // SAFETY: the bytes of the datum and the padding were initialized above.
        let buffer = unsafe { std::slice::from_raw_parts(start, datum.len() + PADDING_BYTES) };
        job(Padded {
            buffer,
            len: datum.len(),
        })
    }

    /// Returns the datum without the padding.
    #[inline]
    #[must_use]
    pub fn datum(&self) -> &'b [u8] {
        &self.buffer[..self.len]
    }

    /// Returns the datum and the padding.
    #[inline]
    pub(crate) fn buffer(&self) -> &'b [u8] {
        self.buffer
    }

    /// Returns the length of the datum in bytes.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// The size of a stack copy: one page, so that the compiler needs no stack probe.
const STACK_BYTES: usize = 4_096;

#[cold]
fn copied_to_heap<R>(datum: &[u8], job: impl FnOnce(Padded<'_>) -> R) -> R {
    let buffer = [datum, &[0; PADDING_BYTES]].concat();
    job(Padded {
        buffer: &buffer,
        len: datum.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: validator/2b
    #[test]
    fn slice_is_padded_if_enough_bytes_follow() {
        let buffer: Vec<u8> = (0..100).collect();
        let at = |from: usize, to: usize| Padded::within(&buffer, &buffer[from..to]);
        assert_eq!(at(3, 36).unwrap().datum(), &buffer[3..36]);
        assert!(at(3, 37).is_none());
        assert_eq!(at(36, 36).unwrap().datum(), b"");
        assert!(Padded::within(&buffer[50..], &buffer[..1]).is_none());
        assert!(Padded::within(&buffer[..50], &buffer[60..61]).is_none());
        assert!(Padded::new(&buffer, usize::MAX).is_none());
    }

    // Conformance: validator/2b
    #[test]
    fn copy_keeps_datum_and_padding() {
        for size in [0, 1, 63, 64, 65, 4_031, 4_032, 4_033, 20_000] {
            let datum = vec![7; size];
            Padded::copied(&datum, |padded| {
                assert_eq!(padded.datum(), datum);
                assert_eq!(padded.buffer()[size..], [0; PADDING_BYTES]);
            });
        }
    }
}
