//! The compiled validator: checks that a datum is exactly one value of a schema in the binary
//! encoding.
//!
//! A datum is accepted only if a decoder that follows the specification reads it to its last byte.
//! The validator is stricter than common decoders: strings and map keys are UTF-8; a boolean is 0
//! or 1; an int has at most 5 bytes and 32 bits, a long 10 bytes and 64 bits (over-long varints
//! within that are accepted); a negative block count is followed by the exact size of the block; no
//! bytes follow the value. Logical types are not checked. No values are built.
//!
//! A schema is compiled to two programs. The reference interpreter is safe code and finds the first
//! fault. The fast interpreter uses the loops of the kernel and only accepts or rejects; rejected
//! data are checked again by the reference interpreter.
//!
//! Time is bounded by the datum and a [`Budget`]: values that take no bytes are not visited, and
//! recursive schemas use an explicit stack.

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

/// A compiled schema. Immutable and shareable between threads.
#[derive(Debug)]
pub struct Validator {
    program: Program,
    fast: FastProgram,
    level: Level,
    budget: Budget,
}

/// The error of a schema with 2^31 types, fields and branches, or with a fixed of that size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the schema is too large to compile")]
pub struct CompileError;

/// The maxima of one datum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Budget {
    /// Nesting of records, arrays and maps, including the outermost; types without bytes do not
    /// count. Each level costs 32 bytes while a datum is that deep. Java reads the default with its
    /// default stack.
    pub depth: u32,
    /// Items of all arrays and entries of all maps, including items without bytes.
    pub items: u64,
    /// Bytes of the values that [`codec`](crate::codec) decodes: the items of arrays and entries of
    /// maps by their size in memory, and the bytes that a resolver writes. Strings and bytes do not
    /// count, because the datum contains them. The validator builds no values.
    pub bytes: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            depth: 1_000,
            items: 1_000_000,
            bytes: 1 << 28,
        }
    }
}

impl Budget {
    /// The minimum of a depth that is set after compilation: the depth is not counted for schemas
    /// whose data cannot nest deeper, because counting costs a call for each record.
    pub const UNCOUNTED_DEPTH: u32 = 64;

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

    /// Sets the maximum number of bytes of decoded values.
    #[must_use]
    pub fn with_bytes(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }
}

impl Validator {
    /// Compiles a schema, with the default [`Budget`] for each datum.
    ///
    /// # Errors
    /// Returns [`CompileError`] if the schema is too large.
    pub fn compile(schema: &Schema) -> Result<Self, CompileError> {
        Self::compile_with(schema, Budget::default())
    }

    /// Compiles a schema, with a budget for each datum. Time and memory are proportional to the
    /// source of the schema.
    ///
    /// # Errors
    /// Returns [`CompileError`] if the schema is too large.
    pub fn compile_with(schema: &Schema, budget: Budget) -> Result<Self, CompileError> {
        // Records of schemas that cannot exceed the depth are inlined, which removes a call each.
        let uncounted_depth = budget.depth.min(Budget::UNCOUNTED_DEPTH);
        let program = compile::compile(schema, uncounted_depth)?;
        Ok(Self {
            // Before `program` is moved.
            fast: FastProgram::of(&program),
            program,
            level: Level::best(),
            budget,
        })
    }

    /// Checks that `datum` is exactly one value of the schema. Copies the datum to add padding;
    /// [`Self::validate_in`] and [`Self::validate_padded`] avoid the copy.
    ///
    /// # Errors
    /// Returns the first fault.
    pub fn validate(&self, datum: &[u8]) -> Result<(), Fault> {
        Padded::copied(datum, |datum| self.validate_padded(datum))
    }

    /// As [`Self::validate`], for a datum that is a slice of `buffer`. Copies it only if fewer than
    /// [`PADDING_BYTES`] bytes of the buffer follow, or if it is not a slice of the buffer.
    ///
    /// # Errors
    /// Returns the first fault.
    #[inline]
    pub fn validate_in(&self, buffer: &[u8], datum: &[u8]) -> Result<(), Fault> {
        match Padded::within(buffer, datum) {
            Some(datum) => self.validate_padded(datum),
            None => self.validate(datum),
        }
    }

    /// As [`Self::validate`], for a datum that is known to be padded. Never copies it.
    ///
    /// # Errors
    /// Returns the first fault.
    #[inline]
    pub fn validate_padded(&self, datum: Padded<'_>) -> Result<(), Fault> {
        if self.accepts_at(self.level, datum) {
            return Ok(());
        }
        // Rejected data are rare: the slower interpreter determines the fault.
        self.validate_reference(datum.datum())
    }

    /// As [`Self::validate_in`], with a budget whose depth is [`Budget::UNCOUNTED_DEPTH`] or more,
    /// and without the path of the fault, which is expensive to build. For callers that report a
    /// few faults of many.
    ///
    /// # Errors
    /// Returns the reason of the first fault.
    #[doc(hidden)]
    #[inline]
    pub fn reason_in(&self, budget: Budget, buffer: &[u8], datum: &[u8]) -> Result<(), Reason> {
        let accepts = |datum: Padded<'_>| self.fast.accepts(self.level, budget, datum);
        // Copied only for the last datum of a buffer without padding.
        let accepted = match Padded::within(buffer, datum) {
            Some(datum) => accepts(datum),
            None => Padded::copied(datum, accepts),
        };
        if accepted {
            return Ok(());
        }
        reference::reason(&self.program, budget, datum)
    }

    /// Returns the fault of a datum for which [`Self::reason_in`] has returned a reason.
    ///
    /// # Errors
    /// Returns the first fault.
    #[doc(hidden)]
    #[cold]
    pub fn fault_of(&self, budget: Budget, datum: &[u8]) -> Result<(), Fault> {
        reference::run(&self.program, budget, datum)
    }

    /// Runs the reference interpreter alone. For tests and benches.
    ///
    /// # Errors
    /// Returns the first fault.
    #[doc(hidden)]
    #[cold]
    pub fn validate_reference(&self, datum: &[u8]) -> Result<(), Fault> {
        self.fault_of(self.budget, datum)
    }

    /// Runs the fast interpreter alone, at an instruction level, and returns whether it accepts the
    /// datum. For tests and benches.
    #[doc(hidden)]
    #[inline]
    #[must_use]
    pub fn accepts_at(&self, level: Level, datum: Padded<'_>) -> bool {
        self.fast.accepts(level, self.budget, datum)
    }

    /// Returns the size of the validator in memory, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.program.memory_bytes() + self.fast.memory_bytes()
    }
}
