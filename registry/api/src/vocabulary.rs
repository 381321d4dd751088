//! The registry's closed sets of words: compatibility levels, modes, schema types. Each parses and
//! prints exactly as Confluent Schema Registry spells it, ignoring case where that does.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A word that is in none of the sets; the caller knows which set it asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown word {0:?}")]
pub struct UnknownWord(pub String);

/// Which earlier versions a new one must agree with, and in which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CompatibilityLevel {
    /// Anything goes.
    None,
    /// The new schema reads what the latest version wrote.
    Backward,
    /// The new schema reads what every version wrote.
    BackwardTransitive,
    /// The latest version reads what the new schema writes.
    Forward,
    /// Every version reads what the new schema writes.
    ForwardTransitive,
    /// Both directions with the latest version.
    Full,
    /// Both directions with every version.
    FullTransitive,
}

impl CompatibilityLevel {
    /// Whether every undeleted version counts, not just the latest.
    #[must_use]
    pub fn is_transitive(self) -> bool {
        match self {
            Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive => true,
            Self::None | Self::Backward | Self::Forward | Self::Full => false,
        }
    }

    /// The level's name in upper case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Backward => "BACKWARD",
            Self::BackwardTransitive => "BACKWARD_TRANSITIVE",
            Self::Forward => "FORWARD",
            Self::ForwardTransitive => "FORWARD_TRANSITIVE",
            Self::Full => "FULL",
            Self::FullTransitive => "FULL_TRANSITIVE",
        }
    }
}

impl fmt::Display for CompatibilityLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CompatibilityLevel {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        const ALL: [CompatibilityLevel; 7] = [
            CompatibilityLevel::None,
            CompatibilityLevel::Backward,
            CompatibilityLevel::BackwardTransitive,
            CompatibilityLevel::Forward,
            CompatibilityLevel::ForwardTransitive,
            CompatibilityLevel::Full,
            CompatibilityLevel::FullTransitive,
        ];
        find(&ALL, Self::as_str, word)
    }
}

/// How a comparison weighs what it finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CompatibilityPolicy {
    /// By the specification's rules.
    Strict,
    /// With exceptions that Confluent makes for JSON Schema.
    Lenient,
    /// By logical types.
    Logical,
}

impl CompatibilityPolicy {
    /// The policy's name in upper case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Strict => "STRICT",
            Self::Lenient => "LENIENT",
            Self::Logical => "LOGICAL",
        }
    }
}

impl FromStr for CompatibilityPolicy {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        find(
            &[Self::Strict, Self::Lenient, Self::Logical],
            Self::as_str,
            word,
        )
    }
}

/// What a subject, or the whole registry, lets its callers change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Mode {
    /// Everything but explicit ids.
    Readwrite,
    /// Nothing.
    Readonly,
    /// Nothing, like `READONLY`.
    ReadonlyOverride,
    /// Registrations that bring their own id, unchecked.
    Import,
    /// Like `IMPORT`, for a registry that another one copies everything to; global only.
    Forward,
}

impl Mode {
    /// The mode's name in upper case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Readwrite => "READWRITE",
            Self::Readonly => "READONLY",
            Self::ReadonlyOverride => "READONLY_OVERRIDE",
            Self::Import => "IMPORT",
            Self::Forward => "FORWARD",
        }
    }

    /// Whether registering, deleting and configuring are refused.
    #[must_use]
    pub fn is_read_only(self) -> bool {
        match self {
            Self::Readonly | Self::ReadonlyOverride => true,
            Self::Readwrite | Self::Import | Self::Forward => false,
        }
    }

    /// Whether registrations bring their own ids, and are stored as they come.
    #[must_use]
    pub fn is_import(self) -> bool {
        match self {
            Self::Import | Self::Forward => true,
            Self::Readwrite | Self::Readonly | Self::ReadonlyOverride => false,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        const ALL: [Mode; 5] = [
            Mode::Readwrite,
            Mode::Readonly,
            Mode::ReadonlyOverride,
            Mode::Import,
            Mode::Forward,
        ];
        find(&ALL, Self::as_str, word)
    }
}

/// The language a schema is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SchemaType {
    /// Apache Avro: parsed, compared, enforced.
    #[default]
    Avro,
    /// JSON Schema: kept and looked up by its text.
    Json,
    /// Protocol Buffers: kept and looked up by its text.
    Protobuf,
}

impl SchemaType {
    /// The type's name in upper case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Protobuf => "PROTOBUF",
        }
    }
}

impl fmt::Display for SchemaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SchemaType {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        find(
            &[Self::Avro, Self::Json, Self::Protobuf],
            Self::as_str,
            word,
        )
    }
}

fn find<T: Copy>(all: &[T], name: fn(T) -> &'static str, word: &str) -> Result<T, UnknownWord> {
    all.iter()
        .copied()
        .find(|&candidate| name(candidate).eq_ignore_ascii_case(word))
        .ok_or_else(|| UnknownWord(word.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_parse_in_any_case_and_print_in_upper_case() {
        for word in ["none", "Backward", "FORWARD", "full", "backward_TRANSITIVE"] {
            let level: CompatibilityLevel = word.parse().unwrap();
            assert_eq!(level.to_string(), word.to_ascii_uppercase());
            assert_eq!(
                serde_json::to_value(level).unwrap(),
                word.to_ascii_uppercase()
            );
        }
        for word in [
            "readwrite",
            "READONLY",
            "Readonly_Override",
            "import",
            "Forward",
        ] {
            let mode: Mode = word.parse().unwrap();
            assert_eq!(
                serde_json::to_value(mode).unwrap(),
                word.to_ascii_uppercase()
            );
        }
        assert_eq!(
            "FORWARDS".parse::<CompatibilityLevel>(),
            Err(UnknownWord("FORWARDS".into()))
        );
        assert_eq!(
            "THRIFT".parse::<SchemaType>(),
            Err(UnknownWord("THRIFT".into()))
        );
    }
}
