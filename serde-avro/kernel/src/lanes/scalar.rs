//! Safe lanes: bounds-checked loads, computed on words of eight bytes.

use super::Loads;
use crate::Job;

/// Lanes of safe code, supported everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scalar;

/// The highest bit of each byte.
const HIGH: u64 = 0x8080_8080_8080_8080;
/// The lowest bit of each byte.
const LOW: u64 = 0x0101_0101_0101_0101;

impl Loads for Scalar {
    #[inline(never)]
    fn run_outlined<J: Job>(self, job: J) -> J::Output {
        job.run(self)
    }

    #[inline(always)]
    unsafe fn word(self, buffer: &[u8], at: usize) -> u64 {
        let eight = buffer[at..].first_chunk();
        u64::from_le_bytes(*eight.expect("the caller guarantees 64 bytes"))
    }

    #[inline(always)]
    unsafe fn high_bits(self, buffer: &[u8], at: usize) -> u64 {
        gather(&buffer[at..at + 64], |word| word & HIGH)
    }

    #[inline(always)]
    unsafe fn high_bits_32(self, buffer: &[u8], at: usize) -> u32 {
        let bits = gather(&buffer[at..at + 32], |word| word & HIGH);
        u32::try_from(bits).expect("32 bytes have 32 bits")
    }

    #[inline(always)]
    unsafe fn above(self, buffer: &[u8], at: usize, max: u8) -> u64 {
        assert!(
            max < 0x80,
            "the sum of two bytes below 0x80 does not carry into the next byte"
        );
        // Adding 0x7f - max to the low seven bits sets the highest bit exactly if they exceed max.
        let add = LOW * u64::from(0x7f - max);
        gather(&buffer[at..at + 64], |word| {
            (word | ((word & !HIGH) + add)) & HIGH
        })
    }
}

/// Collects one bit per byte. `highest` clears every bit of a word except the highest of each byte.
#[inline(always)]
fn gather(bytes: &[u8], highest: impl Fn(u64) -> u64) -> u64 {
    let mut bits = 0;
    for (index, eight) in bytes.as_chunks().0.iter().enumerate() {
        // The multiplication moves bit 8 * i to bit 56 + i without carries.
        let ones = highest(u64::from_le_bytes(*eight)) >> 7;
        let byte = ones.wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits |= byte << (8 * index);
    }
    bits
}
