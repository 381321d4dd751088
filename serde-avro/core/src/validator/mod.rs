//! The compiled validator: is this datum exactly one value of this schema?
//!
//! Owns the promise that a datum is accepted only if a decoder by the specification reads it, to
//! its last byte, and is stricter on purpose where decoders are careless: strings and map keys are
//! UTF-8; a boolean is 0 or 1; an int has at most 5 bytes and 32 bits, a long 10 and 64 (over-long
//! forms within that pass); a negative block count is followed by the size that the block has;
//! nothing follows the value. Logical types are not checked. It builds no values, and knows
//! nothing of framing, topics and records.
//!
//! Work is bounded by the datum and a [`Budget`]: values that take no bytes are not walked, and
//! schemas that contain themselves are followed with an explicit stack.

mod compile;
mod cursor;
mod fault;
mod program;
mod run;

pub use fault::{Fault, Need, Reason};

use crate::Schema;
use program::Program;

/// A schema compiled to a flat program, to be shared between threads.
#[derive(Debug)]
pub struct Validator {
    program: Program,
    budget: Budget,
}

/// Why a schema cannot be compiled: it has 2^31 types, fields and branches, or a fixed as large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema is too large to compile")]
pub struct CompileError;

/// How much one datum may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Records, arrays and maps within each other, the outermost included; those that take no
    /// bytes don't count. Raising it costs 32 bytes a level while a datum is that deep.
    pub depth: u32,
    /// Items of all arrays and entries of all maps, those that take no bytes included.
    pub items: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            depth: 64,
            items: 1_000_000,
        }
    }
}

impl Validator {
    /// Compiles a schema, with the default [`Budget`] for each datum.
    ///
    /// # Errors
    /// When the schema is too large.
    pub fn compile(schema: &Schema) -> Result<Self, CompileError> {
        Self::compile_with(schema, Budget::default())
    }

    /// Compiles a schema, with a budget for each datum. Takes time and memory in proportion to
    /// the schema's text.
    ///
    /// # Errors
    /// When the schema is too large.
    pub fn compile_with(schema: &Schema, budget: Budget) -> Result<Self, CompileError> {
        Ok(Self {
            program: compile::compile(schema, budget.depth)?,
            budget,
        })
    }

    /// Checks that `datum` is one value of the schema, whole, to its last byte.
    ///
    /// # Errors
    /// The first fault.
    pub fn validate(&self, datum: &[u8]) -> Result<(), Fault> {
        run::run(&self.program, self.budget, datum)
    }

    /// Memory that this validator holds, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.program.memory_bytes()
    }
}
