//! Lanes of x86-64: SSE2, which is part of the baseline, and AVX2 with BMI and LZCNT.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8,
    _mm_setzero_si128, _mm_subs_epu8, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8,
    _mm256_set1_epi8, _mm256_setzero_si256, _mm256_subs_epu8,
};

use super::Loads;
use crate::Job;

/// The x86-64 baseline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sse2(());

/// AVX2, BMI1, BMI2, LZCNT and POPCNT (Intel Haswell of 2013, AMD Zen). A value proves that the
/// processor supports them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Sse2 {
    pub(crate) const BASELINE: Self = Self(());
}

impl Avx2 {
    /// Returns the lanes if the processor supports all their instructions.
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        has.then_some(Self(()))
    }
}

/// Runs a job compiled for AVX2, together with everything that is inlined into it.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
#[inline(never)]
fn with_avx2<J: Job>(lanes: Avx2, job: J) -> J::Output {
    job.run(lanes)
}

impl Loads for Sse2 {
    #[inline(never)]
    fn run_outlined<J: Job>(self, job: J) -> J::Output {
        job.run(self)
    }

    #[inline(always)]
    unsafe fn word(self, buffer: &[u8], at: usize) -> u64 {
        // SAFETY: the caller guarantees 64 bytes from `at` on.
        unsafe { word(buffer, at) }
    }

    #[inline(always)]
    unsafe fn high_bits(self, buffer: &[u8], at: usize) -> u64 {
        // SAFETY: the caller guarantees 64 bytes from `at` on.
        let part = |index: usize| u64::from(unsafe { high_bits_16(buffer, at + 16 * index) });
        part(0) | part(1) << 16 | part(2) << 32 | part(3) << 48
    }

    #[inline(always)]
    unsafe fn high_bits_32(self, buffer: &[u8], at: usize) -> u32 {
        // SAFETY: the caller guarantees 64 bytes from `at` on.
        let part = |index: usize| u32::from(unsafe { high_bits_16(buffer, at + 16 * index) });
        part(0) | part(1) << 16
    }

    #[inline(always)]
    unsafe fn above(self, buffer: &[u8], at: usize, max: u8) -> u64 {
        // SAFETY: the caller guarantees 64 bytes from `at` on.
        let part = |index: usize| u64::from(unsafe { above_16(buffer, at + 16 * index, max) });
        part(0) | part(1) << 16 | part(2) << 32 | part(3) << 48
    }
}

impl Loads for Avx2 {
    #[inline(always)]
    fn run_outlined<J: Job>(self, job: J) -> J::Output {
        // SAFETY: a value of `Avx2` exists only if the processor supports the instructions.
        unsafe { with_avx2(self, job) }
    }

    #[inline(always)]
    unsafe fn word(self, buffer: &[u8], at: usize) -> u64 {
        // SAFETY: the caller guarantees 64 bytes from `at` on.
        unsafe { word(buffer, at) }
    }

    #[inline(always)]
    unsafe fn high_bits(self, buffer: &[u8], at: usize) -> u64 {
        // SAFETY: the caller guarantees 64 bytes from `at` on.
        let part = |index: usize| u64::from(unsafe { high_bits_32(buffer, at + 32 * index) });
        part(0) | part(1) << 32
    }

    #[inline(always)]
    unsafe fn high_bits_32(self, buffer: &[u8], at: usize) -> u32 {
        // SAFETY: the caller guarantees 64 bytes from `at` on.
        unsafe { high_bits_32(buffer, at) }
    }

    #[inline(always)]
    unsafe fn above(self, buffer: &[u8], at: usize, max: u8) -> u64 {
        // SAFETY: the caller guarantees 64 bytes from `at` on.
        let part = |index: usize| u64::from(unsafe { above_32(buffer, at + 32 * index, max) });
        part(0) | part(1) << 32
    }
}

// Each function below reads, from `at` on, the number of bytes in its name; `word` reads eight. The
// caller guarantees that the buffer has them, and AVX2 for those of 32 bytes.

#[inline(always)]
unsafe fn word(buffer: &[u8], at: usize) -> u64 {
    debug_assert!(at + 8 <= buffer.len());
    // SAFETY: the caller guarantees eight bytes; an array of u8 has no alignment requirement.
    let eight = unsafe { buffer.as_ptr().add(at).cast::<[u8; 8]>().read() };
    u64::from_le_bytes(eight)
}

#[inline(always)]
unsafe fn high_bits_16(buffer: &[u8], at: usize) -> u16 {
    debug_assert!(at + 16 <= buffer.len());
    // SAFETY: the caller guarantees 16 bytes; the load is unaligned; SSE2 is in the baseline.
    let bits = unsafe { _mm_movemask_epi8(load_16(buffer, at)) };
    low_half(bits)
}

#[inline(always)]
unsafe fn high_bits_32(buffer: &[u8], at: usize) -> u32 {
    debug_assert!(at + 32 <= buffer.len());
    // SAFETY: the caller guarantees 32 bytes and AVX2; the load is unaligned.
    unsafe { _mm256_movemask_epi8(load_32(buffer, at)) }.cast_unsigned()
}

#[inline(always)]
unsafe fn above_16(buffer: &[u8], at: usize, max: u8) -> u16 {
    debug_assert!(at + 16 <= buffer.len());
    // SAFETY: the caller guarantees 16 bytes; the load is unaligned; SSE2 is in the baseline.
    let at_most = unsafe {
        // There is no unsigned comparison: a saturating difference of 0 means "at most max".
        let over = _mm_subs_epu8(load_16(buffer, at), _mm_set1_epi8(max.cast_signed()));
        _mm_movemask_epi8(_mm_cmpeq_epi8(over, _mm_setzero_si128()))
    };
    !low_half(at_most)
}

#[inline(always)]
unsafe fn above_32(buffer: &[u8], at: usize, max: u8) -> u32 {
    debug_assert!(at + 32 <= buffer.len());
    // SAFETY: the caller guarantees 32 bytes and AVX2; the load is unaligned.
    let at_most = unsafe {
        let over = _mm256_subs_epu8(load_32(buffer, at), _mm256_set1_epi8(max.cast_signed()));
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(over, _mm256_setzero_si256()))
    };
    !at_most.cast_unsigned()
}

#[inline(always)]
unsafe fn load_16(buffer: &[u8], at: usize) -> __m128i {
    // SAFETY: the caller guarantees 16 bytes.
    unsafe { _mm_loadu_si128(buffer.as_ptr().add(at).cast()) }
}

#[inline(always)]
unsafe fn load_32(buffer: &[u8], at: usize) -> __m256i {
    // SAFETY: the caller guarantees 32 bytes and AVX2.
    unsafe { _mm256_loadu_si256(buffer.as_ptr().add(at).cast()) }
}

/// Returns the low 16 bits of a mask of 16 lanes; the instruction sets the others to zero.
#[inline(always)]
fn low_half(mask: i32) -> u16 {
    let [first, second, _, _] = mask.to_le_bytes();
    u16::from_le_bytes([first, second])
}
