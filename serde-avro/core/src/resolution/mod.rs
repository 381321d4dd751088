//! Schema Resolution: data of a writer's schema are rewritten into the layout of a reader's schema.
//!
//! A [`Resolver`] is compiled once for a pair of schemas. It copies runs of equal layout, skips
//! fields that the reader lacks, moves, promotes and renames, and inserts encoded defaults. So
//! everything that decodes knows one schema only. For schemas of equal layout, a resolver returns
//! the datum itself.
//!
//! ```
//! use avouch_avro::{Schema, resolution::Resolver};
//!
//! let writer = r#"{"type": "record", "name": "Payment", "fields": [
//!     {"name": "id", "type": "string"},
//!     {"name": "amount", "type": "int"}]}"#;
//! let reader = r#"{"type": "record", "name": "Payment", "fields": [
//!     {"name": "amount", "type": "double"},
//!     {"name": "currency", "type": "string", "default": "EUR"}]}"#;
//! let resolver = Resolver::new(&Schema::parse(writer)?, &Schema::parse(reader)?)?;
//! let mut buffer = Vec::new();
//! let resolved = resolver.resolve(b"\x04p1\x06", &mut buffer)?;
//! assert_eq!(resolved, [&3_f64.to_le_bytes()[..], b"\x06EUR"].concat());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Rules, where the specification leaves a choice or Java differs (docs/resolution.md):
//! - Names match as in [`Schema::can_read`]: without the namespace, or by an alias of the reader.
//! - The branch of a reader's union is selected by a [`UnionRule`]. A branch that reads all data of
//!   the writer's type precedes one that reads a part of them. Unions with the same types and names
//!   in the same order map by position.
//! - Decimals with different scales do not match, because their bytes have different meanings.
//!   Other logical types have no influence.
//! - A value that the reader's schema cannot represent is an error when a datum has it, not when
//!   the schemas are compiled.

mod compile;
mod default;
mod plan;
mod run;

use crate::Schema;
use crate::codec::{Decode, DecodeError, Decoder};
use crate::compatibility::CheckError;
use crate::validator::Budget;
use plan::Plan;

/// Returns the encoded default of a field, or `None` if it has none or one that is not a value of
/// its type.
#[cfg(feature = "serde")]
pub(crate) fn encode_default(schema: &Schema, field: &crate::schema::Field) -> Option<Vec<u8>> {
    let value = field.default.as_ref()?;
    let mut steps = crate::compatibility::STEPS_MAX;
    let (out, outcome) = default::encode(schema, field.node, value, Vec::new(), &mut steps);
    outcome.is_ok().then_some(out)
}

/// The rule that selects a branch of a reader's union for a writer's type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnionRule {
    /// The first branch that matches, as the specification defines it. So an int is a double in the
    /// union of double and int.
    #[default]
    FirstMatch,
    /// A branch of the same type and full name, then one of the same type, then one that the type
    /// is promoted to, as Java selects it.
    SameTypeFirst,
}

/// The reasons why a resolver is not compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolverError {
    /// The name and the aliases of a field of the reader match several fields of the writer.
    #[error("reader field {field} matches several fields of the writer's record {record}")]
    AmbiguousField {
        /// The reader's field.
        field: String,
        /// The full name of the writer's record.
        record: String,
    },
    /// The schemas are too large for the budget of the compilation.
    #[error("resolving the schemas takes more than {budget} steps")]
    TooComplex {
        /// The maximum number of steps.
        budget: usize,
    },
    /// The comparison of the schemas failed.
    #[error(transparent)]
    Check(#[from] CheckError),
}

/// A compiled pair of schemas. Immutable and shareable between threads.
#[derive(Debug)]
pub struct Resolver {
    plan: Plan,
    budget: Budget,
}

impl Resolver {
    /// Compiles a pair of schemas, with the default [`UnionRule`] and [`Budget`].
    ///
    /// # Errors
    /// Returns a [`ResolverError`] if an alias is ambiguous or the schemas are too large.
    pub fn new(writer: &Schema, reader: &Schema) -> Result<Self, ResolverError> {
        Self::with(writer, reader, UnionRule::default(), Budget::default())
    }

    /// Compiles a pair of schemas. The budget is that of each datum: the writer's datum must be
    /// within its depth and items, the resolved datum within its bytes.
    ///
    /// # Errors
    /// As [`Resolver::new`].
    pub fn with(
        writer: &Schema,
        reader: &Schema,
        rule: UnionRule,
        budget: Budget,
    ) -> Result<Self, ResolverError> {
        let plan = compile::compile(writer, reader, rule)?;
        Ok(Self { plan, budget })
    }

    /// Returns whether both schemas have the same layout, so that data need no change.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.plan.is_identity
    }

    /// Returns whether the reader's schema represents all data of the writer's schema.
    #[must_use]
    pub fn reads_all(&self) -> bool {
        self.plan.reads_all
    }

    /// Returns the datum in the layout of the reader's schema: the datum itself if the layouts are
    /// equal, else the content of `buffer`, which is cleared first. The datum is checked except for
    /// the UTF-8 of strings and, if the layouts are equal, not at all, because the decoder of the
    /// result does so.
    ///
    /// # Errors
    /// If the datum is not exactly one value of the writer's schema, has a value that the reader's
    /// schema cannot represent, or exceeds the budget. Path and offset are those of the writer.
    pub fn resolve<'b>(
        &self,
        datum: &'b [u8],
        buffer: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], DecodeError> {
        if self.plan.is_identity {
            return Ok(datum);
        }
        buffer.clear();
        run::run(&self.plan, self.budget, datum, buffer)?;
        Ok(buffer)
    }

    /// Resolves a datum and decodes it as an owned value. Callers with many data reuse a buffer
    /// with [`Resolver::resolve`] instead.
    ///
    /// # Errors
    /// As [`Resolver::resolve`] and [`Decode::decode`].
    pub fn decode<T: for<'de> Decode<'de>>(&self, datum: &[u8]) -> Result<T, DecodeError> {
        let mut buffer = Vec::new();
        let resolved = self.resolve(datum, &mut buffer)?;
        let mut input = Decoder::with_budget(resolved, self.budget);
        let value = T::decode(&mut input)?;
        input.finish()?;
        Ok(value)
    }
}
