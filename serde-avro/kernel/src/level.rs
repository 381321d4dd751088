//! Which instructions a loop may use.

use crate::lanes::{Lanes, Loads, plain::Plain};

/// A set of instructions that this machine has. There is no value for a set that it hasn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Sse2(x86::Sse2),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
}

#[cfg(target_arch = "x86_64")]
use crate::lanes::x86;

/// A loop to run with the lanes of a level. Implement `run` with `#[inline(always)]`, or it is
/// compiled without the level's instructions.
pub trait Job {
    /// What it comes to.
    type Output;

    /// Runs it.
    fn run<L: Lanes>(self, lanes: L) -> Self::Output;
}

impl Level {
    /// Safe code without vector instructions, on every machine.
    pub const SCALAR: Self = Self(Kind::Plain);

    /// The fastest that this machine has.
    #[must_use]
    pub fn best() -> Self {
        Self::all().last().unwrap_or(Self::SCALAR)
    }

    /// All that this machine has, slowest first.
    pub fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let vectors = [
            Some(Kind::Sse2(x86::Sse2::BASELINE)),
            x86::Avx2::detect().map(Kind::Avx2),
        ];
        #[cfg(not(target_arch = "x86_64"))]
        let vectors = [];
        let vectors = vectors.into_iter().flatten().map(Self);
        std::iter::once(Self::SCALAR).chain(vectors)
    }

    /// Runs a job with this level's lanes and instructions.
    #[inline]
    pub fn run<J: Job>(self, job: J) -> J::Output {
        match self.0 {
            Kind::Plain => Plain.apart(job),
            #[cfg(target_arch = "x86_64")]
            Kind::Sse2(lanes) => lanes.apart(job),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(lanes) => lanes.apart(job),
        }
    }
}
