//! Compatibility of a reader's schema with a writer's schema: [`Schema::can_read`].
//!
//! The results are those of Java's `SchemaCompatibility` (Avro 1.12 and 1.13): the same findings,
//! with Java's paths, in Java's order. Compatibility levels (`BACKWARD`, `FULL_TRANSITIVE`),
//! versions, and the messages of a registry are not part of this module.
//!
//! As in Java, names match without their namespace, and logical types are ignored. An incompatible
//! branch of a union is reported as missing; [`Incompatibility::causes`] has the reasons. A pair of
//! types that is reached twice has its findings twice, with the paths of the first time.

mod check;
mod finding;
mod location;
mod rules;
mod suggestion;

pub(crate) use rules::{is_name_of, reads_primitive};

use crate::Schema;
use crate::schema::{NodeId, Site};
use std::fmt;
use std::sync::Arc;

/// The kinds of incompatibility, as in Java's `SchemaIncompatibilityType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum IncompatibilityKind {
    /// Two fixed types have different sizes.
    FixedSizeMismatch,
    /// The types differ and the writer's type is not promoted to the reader's.
    TypeMismatch,
    /// Two named types have different names, and no alias of the reader's type is the writer's
    /// name.
    NameMismatch,
    /// The writer's enum has symbols that the reader's enum lacks, and the latter has no default.
    MissingEnumSymbols,
    /// No branch of the reader's union reads the writer's type.
    MissingUnionBranch,
    /// The writer's record lacks a field of the reader's record that has no default.
    ReaderFieldMissingDefaultValue,
}

impl IncompatibilityKind {
    /// Returns Java's name, such as `TYPE_MISMATCH`.
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

impl fmt::Display for IncompatibilityKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// One incompatibility of two schemas.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Incompatibility {
    /// The kind of incompatibility.
    pub kind: IncompatibilityKind,
    /// Java's location: a JSON pointer into the reader's schema, with fields by position; within a
    /// writer's union, the position of its branch. `/` is the whole schema.
    pub path: Arc<str>,
    /// Java's message, such as `reader type: INT not compatible with writer type: STRING`, `[B, C]`
    /// or the name of a field.
    pub info: Arc<str>,
    detail: Arc<Detail>,
}

/// The parts that Java does not report. Shared, because a finding can occur many times.
#[derive(Debug, PartialEq, Eq)]
struct Detail {
    reader: Site,
    writer: Site,
    suggestion: String,
    causes: Vec<Incompatibility>,
}

impl Incompatibility {
    /// Returns the site in the reader's schema, also within branches of unions.
    #[must_use]
    pub fn reader(&self) -> &Site {
        &self.detail.reader
    }

    /// Returns the site in the writer's schema.
    #[must_use]
    pub fn writer(&self) -> &Site {
        &self.detail.writer
    }

    /// Returns a change that would remove the finding, such as `add "default": 0 to field amount in
    /// the reader's schema`.
    #[must_use]
    pub fn suggestion(&self) -> &str {
        &self.detail.suggestion
    }

    /// Returns the reasons why the branch of the reader's union with the kind and name of the
    /// writer's type does not read it, which Java does not report. For unions within unions these
    /// are the innermost causes, at most eight. Empty if there is no such branch, or if the
    /// findings alone take half the budget. The `path` of a cause starts at the branch, its sites
    /// at the root.
    #[must_use]
    pub fn causes(&self) -> &[Self] {
        &self.detail.causes
    }
}

/// The result of [`Schema::can_read`]: every incompatibility, in Java's order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Compatibility {
    findings: Vec<Incompatibility>,
}

impl Compatibility {
    /// Returns whether the reader's schema reads all data of the writer's schema.
    #[must_use]
    pub fn is_compatible(&self) -> bool {
        self.findings.is_empty()
    }

    /// Returns the incompatibilities, none if the schemas are compatible.
    #[must_use]
    pub fn findings(&self) -> &[Incompatibility] {
        &self.findings
    }

    /// Returns the incompatibilities by value.
    #[must_use]
    pub fn into_findings(self) -> Vec<Incompatibility> {
        self.findings
    }
}

/// The reasons why two schemas cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The name and the aliases of a reader's field match several fields of the writer.
    #[error(
        "Reader record field {field} type:{type_name} pos:{position} matches multiple fields in \
         writer record schema {writer}"
    )]
    AmbiguousAlias {
        /// The reader's field.
        field: String,
        /// Its type, as Java writes it, such as `INT`.
        type_name: String,
        /// Its position in the reader's record, from 0.
        position: usize,
        /// The writer's record, as Java's `Schema.toString()` prints it.
        writer: String,
    },
    /// The comparison takes more steps than the budget.
    #[error("comparing the schemas takes more than {budget} steps")]
    BudgetExceeded {
        /// The maximum number of steps.
        budget: usize,
    },
}

/// The maximum number of steps of one comparison. A step is a comparison of two types, a finding, a
/// symbol or alias that is read, or 16 bytes of output; a finding that occurs twice counts twice.
/// Two records of 5,000 optional fields take about 60,000 steps. Each step costs at most about 300
/// bytes and a microsecond.
pub(crate) const STEPS_MAX: usize = 1_000_000;

impl Schema {
    /// Returns whether data written with `writer` can be read with this schema, by the rules of
    /// Schema Resolution as Java's `SchemaCompatibility` applies them (Avro 1.12 and 1.13).
    ///
    /// # Errors
    /// [`CheckError`] when an alias is ambiguous or the comparison exceeds its budget.
    pub fn can_read(&self, writer: &Self) -> Result<Compatibility, CheckError> {
        let findings = check::check(self, writer, STEPS_MAX)?;
        Ok(Compatibility { findings })
    }
}

/// The compatibility of the types of two schemas. Results are kept, so that comparing all types
/// costs as much as comparing the schemas.
pub(crate) struct Relation<'s>(check::Checker<'s>);

impl<'s> Relation<'s> {
    pub(crate) fn new(reader: &'s Schema, writer: &'s Schema) -> Self {
        let memo = check::Memo::AllPairs;
        Self(check::Checker::new(reader, writer, STEPS_MAX, memo))
    }

    /// Returns whether a type of the reader's schema reads all data of a type of the writer's.
    ///
    /// # Errors
    /// As [`Schema::can_read`].
    pub(crate) fn reads(&mut self, reader: NodeId, writer: NodeId) -> Result<bool, CheckError> {
        self.0.reads((reader, writer))
    }
}
