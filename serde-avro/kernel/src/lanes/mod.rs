//! Loads of a word and of 64 bytes side by side.

pub(crate) mod plain;
#[cfg(target_arch = "x86_64")]
pub(crate) mod x86;

/// How bytes are loaded and compared. Only this crate makes and uses them.
pub trait Lanes: Loads + Copy {}

impl<L: Loads + Copy> Lanes for L {}

pub(crate) use sealed::Loads;

mod sealed {
    use crate::Job;

    /// Loads from a buffer, of which 64 bytes must be there.
    pub trait Loads {
        /// Runs a job in a function of its own, with the instructions of these lanes.
        fn apart<J: Job>(self, job: J) -> J::Output;

        /// Eight bytes, the first lowest.
        ///
        /// # Safety
        /// `at + 64 <= buffer.len()`.
        unsafe fn word(self, buffer: &[u8], at: usize) -> u64;

        /// Which of 64 bytes are 0x80 and above, the first lowest.
        ///
        /// # Safety
        /// `at + 64 <= buffer.len()`.
        unsafe fn high_bits(self, buffer: &[u8], at: usize) -> u64;

        /// Which of the first 32 bytes are 0x80 and above, the first lowest.
        ///
        /// # Safety
        /// `at + 64 <= buffer.len()`.
        unsafe fn high_bits_32(self, buffer: &[u8], at: usize) -> u32;

        /// Which of 64 bytes are above `max`, the first lowest.
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
    fn every_level_sees_the_same_bytes() {
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
