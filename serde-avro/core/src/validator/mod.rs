//! The compiled validator: is this datum exactly one value of this schema?
//!
//! Owns the promise that a datum is accepted only if a decoder by the specification reads it, to
//! its last byte, and is stricter on purpose where decoders are careless: strings and map keys are
//! UTF-8; a boolean is 0 or 1; an int has at most 5 bytes and 32 bits, a long 10 and 64 (over-long
//! forms within that pass); a negative block count is followed by the size that the block has;
//! nothing follows the value. Logical types are not checked. It builds no values, and knows
//! nothing of framing, topics and records.
//!
//! There are two forms of a program: the plain one is safe code and finds the first fault, the
//! fused one runs on the kernel's fast loops and only accepts. What it does not accept is judged
//! again by the plain form.
//!
//! Work is bounded by the datum and a [`Budget`]: values that take no bytes are not walked, and
//! schemas that contain themselves are followed with an explicit stack.

mod compile;
mod cursor;
mod fast;
mod fault;
mod program;
mod reference;
mod stack;

#[doc(hidden)]
pub use avouch_avro_kernel::Level;
pub use avouch_avro_kernel::{PADDING_BYTES, Padded};
pub use fault::{Fault, Need, Reason};

use crate::Schema;
use fast::FastProgram;
use program::Program;

/// A schema compiled to a flat program, to be shared between threads.
#[derive(Debug)]
pub struct Validator {
    program: Program,
    fast: FastProgram,
    level: Level,
    budget: Budget,
}

/// Why a schema cannot be compiled: it has 2^31 types, fields and branches, or a fixed as large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema is too large to compile")]
pub struct CompileError;

/// The maxima of one datum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

impl Budget {
    /// Sets the maximum depth.
    #[must_use]
    pub fn with_depth(self, depth: u32) -> Self {
        Self { depth, ..self }
    }

    /// Sets the maximum number of items.
    #[must_use]
    pub fn with_items(self, items: u64) -> Self {
        Self { items, ..self }
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
        let program = compile::compile(schema, budget.depth)?;
        Ok(Self {
            fast: FastProgram::of(&program, budget),
            program,
            level: Level::best(),
            budget,
        })
    }

    /// Checks that `datum` is one value of the schema, whole, to its last byte. Copies it first;
    /// where bytes can be read behind it, [`Self::validate_padded`] saves that.
    ///
    /// # Errors
    /// The first fault.
    pub fn validate(&self, datum: &[u8]) -> Result<(), Fault> {
        Padded::copied(datum, |datum| self.validate_padded(datum))
    }

    /// Checks a datum that stands in a larger buffer: without a copy, unless it stands less than
    /// [`PADDING_BYTES`] bytes before the buffer's end, or elsewhere.
    ///
    /// # Errors
    /// The first fault.
    #[inline]
    pub fn validate_in(&self, buffer: &[u8], datum: &[u8]) -> Result<(), Fault> {
        match Padded::within(buffer, datum) {
            Some(datum) => self.validate_padded(datum),
            None => self.validate(datum),
        }
    }

    /// The same as [`Self::validate`], without a copy.
    ///
    /// # Errors
    /// The first fault.
    #[inline]
    pub fn validate_padded(&self, datum: Padded<'_>) -> Result<(), Fault> {
        if self.accepts_at(self.level, datum) {
            return Ok(());
        }
        self.validate_reference(datum.datum())
    }

    /// The same as [`Self::validate_in`], with the reason alone, which costs no allocation: for
    /// data of which only some faults are told.
    ///
    /// # Errors
    /// The reason of the first fault.
    #[doc(hidden)]
    #[inline]
    pub fn reason_in(&self, buffer: &[u8], datum: &[u8]) -> Result<(), Reason> {
        let accepts = |datum: Padded<'_>| self.accepts_at(self.level, datum);
        let accepted = match Padded::within(buffer, datum) {
            Some(datum) => accepts(datum),
            None => Padded::copied(datum, accepts),
        };
        if accepted {
            return Ok(());
        }
        reference::reason(&self.program, self.budget, datum)
    }

    /// The verdict of the plain form alone, which is slower and the judge of what is refused.
    ///
    /// # Errors
    /// The first fault.
    #[doc(hidden)]
    #[cold]
    pub fn validate_reference(&self, datum: &[u8]) -> Result<(), Fault> {
        reference::run(&self.program, self.budget, datum)
    }

    /// The verdict of the fused form alone, with the instructions of a level.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn accepts_at(&self, level: Level, datum: Padded<'_>) -> bool {
        self.fast.accepts(level, datum)
    }

    /// Memory that this validator holds, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.program.memory_bytes() + self.fast.memory_bytes()
    }
}
