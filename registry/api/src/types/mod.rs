//! Value types of the REST contract: schema ids, versions, compatibility levels, modes, schema
//! types. Each parses and prints as Confluent Schema Registry spells it.

mod names;
mod number;

use thiserror::Error;

pub use names::{CompatibilityLevel, CompatibilityPolicy, Mode, SchemaType};
pub use number::{SchemaId, Version, VersionSelector};

/// A text or number that is not a value of the type it was read as.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{problem} \"{found}\"; expected {expected}")]
pub struct ParseError {
    /// The type and what is wrong, such as `unknown compatibility level`.
    pub problem: &'static str,
    /// The value as given.
    pub found: String,
    /// The accepted values.
    pub expected: &'static str,
}
