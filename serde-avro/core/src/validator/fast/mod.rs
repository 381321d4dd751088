//! The fast interpreter: fewer, larger operations on the kernel's reader.
//!
//! It accepts exactly the data that the reference interpreter accepts, and reports nothing about
//! others.

mod fuse;
mod run;

use super::Budget;
use super::program::Program;
use avouch_avro_kernel::{Level, Padded};

/// A program of the fast interpreter.
#[derive(Debug)]
pub(super) struct FastProgram {
    steps: Vec<Step>,
    targets: Vec<u32>,
    /// True if the depth must be counted.
    counts_depth: bool,
    /// True if the program has operations that push frames.
    nests: bool,
}

/// An operation, and a number of bytes of any value after it.
#[derive(Clone, Copy, Debug)]
struct Step {
    op: Op,
    skip: u32,
}

/// A fused operation. Targets are indexes of steps. Operations without a comment are those of the
/// reference interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    /// No operation; the step only skips bytes.
    Nothing,
    Boolean,
    /// A number of consecutive ints.
    Ints(u32),
    /// A number of consecutive longs.
    Longs(u32),
    Bytes,
    /// A number of consecutive strings.
    Strings(u32),
    Enum(u32),
    /// A union of a string and a branch without bytes; `absent` is the encoded index of the latter.
    OptionalString {
        absent: u8,
    },
    /// A union of the following operations and a branch without bytes, for which it jumps to `end`;
    /// `absent` is the encoded index of the latter.
    Optional {
        absent: u8,
        end: u32,
    },
    Union {
        first_target: u32,
        branches: u32,
    },
    Jump(u32),
    Blocks {
        end: u32,
    },
    Next,
    /// Blocks of ints.
    IntBlocks,
    /// Blocks of longs.
    LongBlocks,
    /// Blocks with a number of strings per item.
    StringBlocks(u32),
    /// Blocks with a number of bytes per item, 0 for items without bytes.
    SkipBlocks(u32),
    Call(u32),
    Return,
    End,
}

impl FastProgram {
    /// Fuses the operations of a program.
    pub(super) fn of(program: &Program) -> Self {
        fuse::fuse(program)
    }

    /// Returns whether the datum is exactly one value of the schema.
    #[inline(always)]
    pub(super) fn accepts(&self, level: Level, budget: Budget, datum: Padded<'_>) -> bool {
        run::run(self, level, budget, datum).is_some()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.steps.capacity() * size_of::<Step>() + self.targets.capacity() * size_of::<u32>()
    }
}
