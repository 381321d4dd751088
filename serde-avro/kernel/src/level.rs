//! Instruction levels: detection and dispatch.

use crate::lanes::{Lanes, Loads, scalar::Scalar};

/// A set of instructions. A value exists only for sets that this processor supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Instructions);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instructions {
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Sse2(x86::Sse2),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
}

#[cfg(target_arch = "x86_64")]
use crate::lanes::x86;

/// A function that is generic over the lanes of a level. Implement `run` with `#[inline(always)]`;
/// otherwise it is compiled without the level's instructions.
pub trait Job {
    /// The result.
    type Output;

    /// Runs the job with the given lanes.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

impl Level {
    /// Safe code without vector instructions, supported everywhere.
    pub const SCALAR: Self = Self(Instructions::Scalar);

    /// Returns the fastest level that this processor supports.
    #[must_use]
    pub fn best() -> Self {
        Self::all().last().unwrap_or(Self::SCALAR)
    }

    /// Returns the levels that this processor supports, slowest first.
    pub fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let vectors = [
            Some(Instructions::Sse2(x86::Sse2::BASELINE)),
            x86::Avx2::detect().map(Instructions::Avx2),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let vectors = [];
        let vectors = vectors.into_iter().flatten().map(Self);
        std::iter::once(Self::SCALAR).chain(vectors)
    }

    /// Runs a job with the lanes of this level, compiled for its instructions.
    #[inline]
    pub fn run<J: Job>(self, job: J) -> J::Output {
        match self.0 {
            Instructions::Scalar => Scalar.run_outlined(job),
            #[cfg(target_arch = "x86_64")]
            Instructions::Sse2(lanes) => lanes.run_outlined(job),
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2(lanes) => lanes.run_outlined(job),
        }
    }
}
