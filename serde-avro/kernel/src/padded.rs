//! Bytes that may be read beyond their end.

use std::mem::MaybeUninit;

/// Bytes that can be read behind a datum, whatever they hold.
pub const PADDING_BYTES: usize = 64;

/// A datum with at least [`PADDING_BYTES`] bytes behind it. What those hold changes no verdict.
#[derive(Clone, Copy, Debug)]
pub struct Padded<'b> {
    /// The datum first. Invariant: at least `len + PADDING_BYTES` bytes.
    buffer: &'b [u8],
    len: usize,
}

impl<'b> Padded<'b> {
    /// The first `len` bytes of a buffer; `None` if less than [`PADDING_BYTES`] follow.
    #[inline]
    #[must_use]
    pub fn new(buffer: &'b [u8], len: usize) -> Option<Self> {
        let needed = len.checked_add(PADDING_BYTES)?;
        (needed <= buffer.len()).then_some(Self { buffer, len })
    }

    /// A datum that stands in a larger buffer; `None` if it doesn't, or less than [`PADDING_BYTES`] bytes
    /// of the buffer follow.
    #[inline]
    #[must_use]
    pub fn within(buffer: &'b [u8], datum: &[u8]) -> Option<Self> {
        let start = datum.as_ptr().addr().checked_sub(buffer.as_ptr().addr())?;
        Self::new(buffer.get(start..)?, datum.len())
    }

    /// Does something with a copy of a datum that has no slack. Up to some 4,000 bytes the copy is
    /// on the stack, beyond that it is one allocation.
    #[inline]
    pub fn copied<R>(datum: &[u8], job: impl FnOnce(Padded<'_>) -> R) -> R {
        if datum.len() > NEAR_BYTES - PADDING_BYTES {
            return far(datum, job);
        }
        let mut near = [MaybeUninit::<u8>::uninit(); NEAR_BYTES];
        let start = near.as_mut_ptr().cast::<u8>();
        // SAFETY: the datum has at most NEAR_BYTES - PADDING_BYTES bytes, and `near` is another object.
        unsafe { start.copy_from_nonoverlapping(datum.as_ptr(), datum.len()) };
        // SAFETY: as above, so the slack ends within `near`.
        let slack = unsafe { start.add(datum.len()) };
        // SAFETY: as above.
        unsafe { slack.write_bytes(0, PADDING_BYTES) };
        // SAFETY: the bytes of datum and slack have just been written.
        let buffer = unsafe { std::slice::from_raw_parts(start, datum.len() + PADDING_BYTES) };
        job(Padded {
            buffer,
            len: datum.len(),
        })
    }

    /// The datum.
    #[inline]
    #[must_use]
    pub fn datum(&self) -> &'b [u8] {
        &self.buffer[..self.len]
    }

    /// Datum and slack.
    #[inline]
    pub(crate) fn buffer(&self) -> &'b [u8] {
        self.buffer
    }

    /// Bytes of the datum.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

/// A page, so that no stack probe is needed.
const NEAR_BYTES: usize = 4_096;

#[cold]
fn far<R>(datum: &[u8], job: impl FnOnce(Padded<'_>) -> R) -> R {
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
    fn a_part_of_a_buffer_is_padded_if_the_slack_follows_it() {
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
    fn a_copy_holds_the_datum_and_slack_at_every_size() {
        for size in [0, 1, 63, 64, 65, 4_031, 4_032, 4_033, 20_000] {
            let datum = vec![7; size];
            Padded::copied(&datum, |padded| {
                assert_eq!(padded.datum(), datum);
                assert_eq!(padded.buffer()[size..], [0; PADDING_BYTES]);
            });
        }
    }
}
