//! Lanes of x86-64: SSE2, which all of them have, and AVX2 with the bit instructions of its time.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8,
    _mm_setzero_si128, _mm_subs_epu8, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8,
    _mm256_set1_epi8, _mm256_setzero_si256, _mm256_subs_epu8,
};

use super::Loads;
use crate::Job;

/// The instructions that every x86-64 has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sse2(());

/// The instructions of 2013 and later. A value is the proof that the machine has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Sse2 {
    pub(crate) const BASELINE: Self = Self(());
}

impl Avx2 {
    pub(crate) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt");
        has.then_some(Self(()))
    }
}

/// Runs a job compiled for AVX2: what is inlined into it is compiled for AVX2, too.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
#[inline(never)]
fn with_avx2<J: Job>(lanes: Avx2, job: J) -> J::Output {
    job.run(lanes)
}

impl Loads for Sse2 {
    #[inline(never)]
    fn apart<J: Job>(self, job: J) -> J::Output {
        job.run(self)
    }

    #[inline(always)]
    unsafe fn word(self, buffer: &[u8], at: usize) -> u64 {
        // SAFETY: the caller holds that 64 bytes follow.
        unsafe { word(buffer, at) }
    }

    #[inline(always)]
    unsafe fn high_bits(self, buffer: &[u8], at: usize) -> u64 {
        // SAFETY: the caller holds that 64 bytes follow.
        let part = |index: usize| u64::from(unsafe { high_bits_16(buffer, at + 16 * index) });
        part(0) | part(1) << 16 | part(2) << 32 | part(3) << 48
    }

    #[inline(always)]
    unsafe fn high_bits_32(self, buffer: &[u8], at: usize) -> u32 {
        // SAFETY: the caller holds that 64 bytes follow.
        let part = |index: usize| u32::from(unsafe { high_bits_16(buffer, at + 16 * index) });
        part(0) | part(1) << 16
    }

    #[inline(always)]
    unsafe fn above(self, buffer: &[u8], at: usize, max: u8) -> u64 {
        // SAFETY: the caller holds that 64 bytes follow.
        let part = |index: usize| u64::from(unsafe { above_16(buffer, at + 16 * index, max) });
        part(0) | part(1) << 16 | part(2) << 32 | part(3) << 48
    }
}

impl Loads for Avx2 {
    #[inline(always)]
    fn apart<J: Job>(self, job: J) -> J::Output {
        // SAFETY: the lanes are the proof that the machine has the instructions.
        unsafe { with_avx2(self, job) }
    }

    #[inline(always)]
    unsafe fn word(self, buffer: &[u8], at: usize) -> u64 {
        // SAFETY: the caller holds that 64 bytes follow.
        unsafe { word(buffer, at) }
    }

    #[inline(always)]
    unsafe fn high_bits(self, buffer: &[u8], at: usize) -> u64 {
        // SAFETY: the caller holds that 64 bytes follow.
        let part = |index: usize| u64::from(unsafe { high_bits_32(buffer, at + 32 * index) });
        part(0) | part(1) << 32
    }

    #[inline(always)]
    unsafe fn high_bits_32(self, buffer: &[u8], at: usize) -> u32 {
        // SAFETY: the caller holds that 64 bytes follow.
        unsafe { high_bits_32(buffer, at) }
    }

    #[inline(always)]
    unsafe fn above(self, buffer: &[u8], at: usize, max: u8) -> u64 {
        // SAFETY: the caller holds that 64 bytes follow.
        let part = |index: usize| u64::from(unsafe { above_32(buffer, at + 32 * index, max) });
        part(0) | part(1) << 32
    }
}

// All that follow read from `at` on: the number of bytes in their name, a word eight. The caller
// holds that so many are in the buffer, and for 32 that the machine has AVX2.

#[inline(always)]
unsafe fn word(buffer: &[u8], at: usize) -> u64 {
    debug_assert!(at + 8 <= buffer.len());
    // SAFETY: eight bytes are there, and nothing is asked of their alignment.
    let eight = unsafe { buffer.as_ptr().add(at).cast::<[u8; 8]>().read() };
    u64::from_le_bytes(eight)
}

#[inline(always)]
unsafe fn high_bits_16(buffer: &[u8], at: usize) -> u16 {
    debug_assert!(at + 16 <= buffer.len());
    // SAFETY: 16 bytes are there; the load is an unaligned one, and SSE2 is on every x86-64.
    let bits = unsafe { _mm_movemask_epi8(load_16(buffer, at)) };
    low_half(bits)
}

#[inline(always)]
unsafe fn high_bits_32(buffer: &[u8], at: usize) -> u32 {
    debug_assert!(at + 32 <= buffer.len());
    // SAFETY: 32 bytes are there, the load is an unaligned one, and the machine has AVX2.
    unsafe { _mm256_movemask_epi8(load_32(buffer, at)) }.cast_unsigned()
}

#[inline(always)]
unsafe fn above_16(buffer: &[u8], at: usize, max: u8) -> u16 {
    debug_assert!(at + 16 <= buffer.len());
    // SAFETY: 16 bytes are there; the load is an unaligned one, and SSE2 is on every x86-64.
    let at_most = unsafe {
        let over = _mm_subs_epu8(load_16(buffer, at), _mm_set1_epi8(max.cast_signed()));
        _mm_movemask_epi8(_mm_cmpeq_epi8(over, _mm_setzero_si128()))
    };
    !low_half(at_most)
}

#[inline(always)]
unsafe fn above_32(buffer: &[u8], at: usize, max: u8) -> u32 {
    debug_assert!(at + 32 <= buffer.len());
    // SAFETY: 32 bytes are there, the load is an unaligned one, and the machine has AVX2.
    let at_most = unsafe {
        let over = _mm256_subs_epu8(load_32(buffer, at), _mm256_set1_epi8(max.cast_signed()));
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(over, _mm256_setzero_si256()))
    };
    !at_most.cast_unsigned()
}

#[inline(always)]
unsafe fn load_16(buffer: &[u8], at: usize) -> __m128i {
    // SAFETY: the caller holds that 16 bytes are there.
    unsafe { _mm_loadu_si128(buffer.as_ptr().add(at).cast()) }
}

#[inline(always)]
unsafe fn load_32(buffer: &[u8], at: usize) -> __m256i {
    // SAFETY: the caller holds that 32 bytes are there and that the machine has AVX2.
    unsafe { _mm256_loadu_si256(buffer.as_ptr().add(at).cast()) }
}

/// A mask of 16 lanes as it is: the instruction leaves the rest zero.
#[inline(always)]
fn low_half(mask: i32) -> u16 {
    let [first, second, _, _] = mask.to_le_bytes();
    u16::from_le_bytes([first, second])
}
