//! The compiled validator (skeleton: signatures are final).

use crate::Schema;
use std::fmt;

/// A schema compiled to a flat program.
#[derive(Debug)]
pub struct Validator {}

/// Why a schema cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    message: String,
}

/// How much work one datum may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Nesting of records, arrays, maps and unions.
    pub depth: u32,
    /// Items of arrays and maps, zero-width ones included.
    pub items: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Self { depth: 64, items: 1_000_000 }
    }
}

/// What a truncated read needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// The type's name, such as `double`.
    pub what: &'static str,
    /// Bytes.
    pub bytes: u64,
}

/// The first fault of a datum.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub reason: Reason,
    /// Where in the schema, such as `/items[3]/price`.
    pub path: String,
    /// Byte offset in the datum.
    pub offset: usize,
    /// Bytes of the datum.
    pub len: usize,
    /// What was needed, if the datum ended too early.
    pub need: Option<Need>,
}

impl fmt::Display for Fault {
    fn fmt(&self, _out: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl std::error::Error for Fault {}

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "skeleton")]
pub enum Reason {
    Truncated,
    TrailingBytes,
    BadVarint,
    BadUnion,
    BadEnum,
    BadUtf8,
    BadBool,
    BadBlock,
    TooDeep,
    TooComplex,
}

impl Reason {
    /// The stable code, such as `trailing-bytes`.
    #[must_use]
    pub fn code(self) -> &'static str {
        todo!()
    }
}

impl Validator {
    /// Compiles with the default [`Budget`].
    ///
    /// # Errors
    /// [`CompileError`].
    pub fn compile(schema: &Schema) -> Result<Self, CompileError> {
        Self::compile_with(schema, Budget::default())
    }
    /// Compiles with a budget.
    ///
    /// # Errors
    /// [`CompileError`].
    pub fn compile_with(schema: &Schema, budget: Budget) -> Result<Self, CompileError> {
        let _ = (schema, budget);
        todo!()
    }
    /// Checks a whole datum, to its last byte.
    ///
    /// # Errors
    /// The first [`Fault`].
    pub fn validate(&self, datum: &[u8]) -> Result<(), Fault> {
        let _ = datum;
        todo!()
    }
    /// Memory of the program.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        todo!()
    }
}
