//! The fast form: fewer, larger operations over the kernel's reader.
//!
//! It accepts exactly what the plain form accepts, and tells nothing of what it doesn't: the plain
//! form is then asked for the fault.

mod fuse;
mod run;

use super::Budget;
use super::program::Program;
use avouch_avro_kernel::{Level, Padded};

/// A program of fused operations.
#[derive(Debug)]
pub(super) struct FastProgram {
    steps: Vec<Step>,
    targets: Vec<u32>,
    /// Frames that may be open.
    depth_max: usize,
    /// Items of all blocks.
    items_max: u64,
    /// Whether there are operations that open frames.
    nests: bool,
}

/// An operation, and bytes of any content behind it.
#[derive(Clone, Copy, Debug)]
struct Step {
    op: Op,
    skip: u32,
}

/// One step of checking. Targets are indexes of steps. What is not told is as in the plain form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    /// Nothing but what is skipped.
    Nothing,
    Boolean,
    /// So many ints, one after the other.
    Ints(u32),
    /// So many longs, one after the other.
    Longs(u32),
    Bytes,
    /// So many strings, one after the other.
    Strings(u32),
    Enum(u32),
    /// A union of a text and what takes no bytes, whose index is this byte.
    OptionalString {
        absent: u8,
    },
    /// A union of what follows and what takes no bytes, whose index is this byte; there, on at
    /// `end`.
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
    /// Blocks of so many strings an item.
    StringBlocks(u32),
    /// Blocks of so many bytes an item, none for items that take no bytes.
    SkipBlocks(u32),
    Call(u32),
    Return,
    End,
}

impl FastProgram {
    pub(super) fn of(program: &Program, budget: Budget) -> Self {
        fuse::fuse(program, budget)
    }

    /// Whether the datum is one value of the schema, whole.
    #[inline(always)]
    pub(super) fn accepts(&self, level: Level, datum: Padded<'_>) -> bool {
        run::run(self, level, datum).is_some()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.steps.capacity() * size_of::<Step>() + self.targets.capacity() * size_of::<u32>()
    }
}
