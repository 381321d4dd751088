//! Loads of 8, 32 and 64 bytes with byte-wise comparison.

pub(crate) mod scalar;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

/// Instructions that load and compare bytes. Sealed: only this crate implements and calls it.
pub trait Lanes: Loads + Copy {}

impl<L: Loads + Copy> Lanes for L {}

pub(crate) use sealed::Loads;

mod sealed {
    use crate::Job;

    /// Loads from a buffer in which at least 64 bytes follow the position. Bit `i` of a result
    /// belongs to byte `i`.
    pub trait Loads {
        /// Runs a job in a function that is not inlined, compiled for the instructions of these
        /// lanes.
        fn run_outlined<J: Job>(self, job: J) -> J::Output;

        /// Returns eight bytes as a little-endian number.
        ///
        /// # Safety
        /// `at + 64 <= buffer.len()`.
        unsafe fn word(self, buffer: &[u8], at: usize) -> u64;

        /// Returns the highest bit of each of 64 bytes.
        ///
        /// # Safety
        /// `at + 64 <= buffer.len()`.
        unsafe fn high_bits(self, buffer: &[u8], at: usize) -> u64;

        /// Returns the highest bit of each of 32 bytes.
        ///
        /// # Safety
        /// `at + 64 <= buffer.len()`.
        unsafe fn high_bits_32(self, buffer: &[u8], at: usize) -> u32;

        /// Returns a bit for each of 64 bytes that is set if the byte is greater than `max`, which
        /// is less than 0x80.
        ///
        /// # Safety
        /// `at + 64 <= buffer.len()`.
        unsafe fn above(self, buffer: &[u8], at: usize, max: u8) -> u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Job, Level};

    struct Look<'b>(&'b [u8], usize);

    impl Job for Look<'_> {
        type Output = (u64, u64, u32, [u64; 3]);

        #[inline(always)]
        fn run<L: Lanes>(self, lanes: L) -> Self::Output {
            let Self(buffer, at) = self;
            assert!(at + 64 <= buffer.len());
            // SAFETY: asserted above.
            let above = |max| unsafe { lanes.above(buffer, at, max) };
            // SAFETY: asserted above.
            let word = unsafe { lanes.word(buffer, at) };
            // SAFETY: asserted above.
            let high = unsafe { lanes.high_bits(buffer, at) };
            // SAFETY: asserted above.
            let half = unsafe { lanes.high_bits_32(buffer, at) };
            (word, high, half, [above(0), above(1), above(0x0f)])
        }
    }

    // Conformance: validator/2a
    #[test]
    fn levels_load_and_compare_bytes_alike() {
        let mut state = 1_u64;
        for round in 0..2_000 {
            let bytes = (0..80).map(|_| {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                let byte = state.to_le_bytes()[7];
                [byte, byte & 0x81, byte & 0x1f, byte | 0x80][round % 4]
            });
            let buffer: Vec<u8> = bytes.collect();
            for at in [0, 1, 7, 16] {
                let expected = Level::SCALAR.run(Look(&buffer, at));
                for level in Level::all() {
                    assert_eq!(
                        level.run(Look(&buffer, at)),
                        expected,
                        "{level:?} {buffer:x?}"
                    );
                }
            }
        }
    }
}
