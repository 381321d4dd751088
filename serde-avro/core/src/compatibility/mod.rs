//! The compatibility relation (skeleton: signatures are final).

use crate::Schema;

/// The kinds of incompatibility.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Two fixed types of different sizes.
    FixedSizeMismatch,
    /// Types that do not resolve.
    TypeMismatch,
    /// Named types of different names.
    NameMismatch,
    /// Writer symbols that the reader lacks.
    MissingEnumSymbols,
    /// A writer type that no branch of the reader's union takes.
    MissingUnionBranch,
    /// A reader field that the writer lacks, without default.
    ReaderFieldMissingDefaultValue,
}

impl Kind {
    /// Java's name, such as `TYPE_MISMATCH`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        todo!()
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incompatibility {
    /// What is wrong.
    pub kind: Kind,
    /// JSON pointer, `/` for the root.
    pub path: String,
    /// Java's additional information.
    pub info: String,
}

/// Why a pair has no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// A reader field matches several writer fields by its aliases.
    #[error("reader record field {field} matches several writer fields: {matches}")]
    AmbiguousAlias {
        /// The reader's field.
        field: String,
        /// The writer's fields.
        matches: String,
    },
    /// More pairs than the budget.
    #[error("more than {limit} pairs of types to compare")]
    TooManyPairs {
        /// The budget.
        limit: usize,
    },
}

/// Compares; empty means that `reader` reads everything `writer` wrote.
///
/// # Errors
/// [`CheckError`].
pub fn check(reader: &Schema, writer: &Schema) -> Result<Vec<Incompatibility>, CheckError> {
    let _ = (reader, writer);
    todo!()
}
