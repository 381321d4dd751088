//! The compatibility relation: can a reader's schema read what a writer's schema wrote?
//!
//! Owns the verdicts of Java's `SchemaCompatibility` (Avro 1.12 and 1.13): the same findings, with
//! Java's paths, in Java's order. It knows nothing of levels (`BACKWARD`, `FULL_TRANSITIVE`), of
//! versions and of the messages a registry makes of findings.
//!
//! What is Java's and may surprise: names match without their namespace; logical types don't
//! count; what is wrong inside a branch of a union shows as that branch missing, what it is
//! stands in [`Incompatibility::causes`]; a pair of types that is reached twice
//! brings its findings twice, with the paths of the first time.

mod check;
mod finding;
mod place;
mod suggestion;

use crate::Schema;
use crate::schema::{NodeId, Site};
use std::fmt;
use std::sync::Arc;

/// The kinds of incompatibility.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Two fixed types have different sizes.
    FixedSizeMismatch,
    /// The reader's type takes nothing of the writer's type.
    TypeMismatch,
    /// Two named types have different names, and none of the reader's aliases is the writer's.
    NameMismatch,
    /// The writer's enum has symbols that the reader's lacks, and the reader's has no default.
    MissingEnumSymbols,
    /// No branch of the reader's union takes the writer's type.
    MissingUnionBranch,
    /// The writer's record lacks a field of the reader's that has no default.
    ReaderFieldMissingDefaultValue,
}

impl Kind {
    /// Java's name, such as `TYPE_MISMATCH`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::FixedSizeMismatch => "FIXED_SIZE_MISMATCH",
            Self::TypeMismatch => "TYPE_MISMATCH",
            Self::NameMismatch => "NAME_MISMATCH",
            Self::MissingEnumSymbols => "MISSING_ENUM_SYMBOLS",
            Self::MissingUnionBranch => "MISSING_UNION_BRANCH",
            Self::ReaderFieldMissingDefaultValue => "READER_FIELD_MISSING_DEFAULT_VALUE",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incompatibility {
    /// What is wrong.
    pub kind: Kind,
    /// Where, as a JSON pointer into the reader's schema whose fields are numbered by place;
    /// within a writer's union, its branch by place. `/` is the whole schema.
    pub path: Arc<str>,
    /// Java's additional information, such as `reader type: INT not compatible with writer type:
    /// STRING`, `[B, C]` or the name of a field.
    pub info: Arc<str>,
    detail: Arc<Detail>,
}

/// What Java doesn't tell. Shared, because a finding can come up many times.
#[derive(Debug, PartialEq, Eq)]
struct Detail {
    reader: Site,
    writer: Site,
    suggestion: String,
    causes: Vec<Incompatibility>,
}

impl Incompatibility {
    /// The place in the reader's schema, also within branches of unions.
    #[must_use]
    pub fn reader(&self) -> &Site {
        &self.detail.reader
    }

    /// The place in the writer's schema.
    #[must_use]
    pub fn writer(&self) -> &Site {
        &self.detail.writer
    }

    /// A change that would remove the finding, such as `add "default": 0 to field amount in the
    /// reader's schema`.
    #[must_use]
    pub fn suggestion(&self) -> &str {
        &self.detail.suggestion
    }

    /// What Java doesn't list: why the branch of the reader's union that is meant for the writer's
    /// type, by its kind and name, doesn't take it. Of unions within unions the innermost causes,
    /// eight at most; empty if there is no such branch, and if telling the findings alone takes
    /// half the budget. Their `path` starts at the branch; their sites, as all, at the whole
    /// schema.
    #[must_use]
    pub fn causes(&self) -> &[Self] {
        &self.detail.causes
    }
}

/// Why a pair of schemas has no verdict.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// A field of the reader has, by its name and its aliases, several fields of the writer.
    #[error(
        "Reader record field {field} type:{type_word} pos:{place} matches multiple fields in \
         writer record schema {writer}"
    )]
    AmbiguousAlias {
        /// The reader's field.
        field: String,
        /// Its type, as Java writes it, such as `INT`.
        type_word: String,
        /// Its place in the reader's record, from 0.
        place: usize,
        /// The canonical text of the writer's record.
        writer: String,
    },
    /// The schemas ask for more comparisons than the budget.
    #[error("the schemas take more than {budget} comparisons; they are too entangled to compare")]
    TooEntangled {
        /// The budget.
        budget: usize,
    },
}

/// Comparisons of two types, and findings, symbols and aliases looked at, that one check may ask
/// for; 16 bytes of what is told count as one, each time it is told. Two records of 5,000
/// optional fields take some 60,000. Raising it costs about 300 bytes and a microsecond each.
pub(crate) const STEPS_MAX: usize = 1_000_000;

/// What keeps `reader` from reading everything that `writer` wrote; empty if nothing does.
///
/// # Errors
/// [`CheckError`], when there is no telling.
pub fn check(reader: &Schema, writer: &Schema) -> Result<Vec<Incompatibility>, CheckError> {
    check::check(reader, writer, STEPS_MAX)
}

/// The relation of two schemas, to be asked about parts of them. What was found once is kept, so
/// that asking for all parts costs as much as asking for the whole.
pub(crate) struct Relation<'s>(check::Checker<'s>);

impl<'s> Relation<'s> {
    pub(crate) fn new(reader: &'s Schema, writer: &'s Schema) -> Self {
        let memory = check::Memory::AllPairs;
        Self(check::Checker::new(reader, writer, STEPS_MAX, memory))
    }

    /// Whether one type of the reader's reads all of one of the writer's.
    ///
    /// # Errors
    /// [`CheckError`], when there is no telling.
    pub(crate) fn reads(&mut self, reader: NodeId, writer: NodeId) -> Result<bool, CheckError> {
        self.0.reads((reader, writer))
    }
}
