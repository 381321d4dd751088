//! Compatibility levels and policies, modes and schema types. Parsing ignores case, as Confluent
//! Schema Registry does; the names print in upper case.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ParseError;

/// Defines an enum of which each variant has one name on the wire.
macro_rules! names {
    (
        $(#[$doc:meta])*
        $type:ident, $problem:literal
        $(#[$first_doc:meta])* $first:ident = $first_name:literal,
        $($(#[$rest_doc:meta])* $rest:ident = $rest_name:literal,)*
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        // Must match the names of `as_str`, which a test compares.
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        pub enum $type {
            $(#[$first_doc])* $first,
            $($(#[$rest_doc])* $rest,)*
        }

        impl $type {
            const ALL: &[Self] = &[Self::$first, $(Self::$rest,)*];

            /// Returns the name in upper case.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::$first => $first_name,
                    $(Self::$rest => $rest_name,)*
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = ParseError;

            // Confluent's registry and its clients mix upper and lower case.
            /// Parses the name in any case.
            fn from_str(text: &str) -> Result<Self, ParseError> {
                let is_named = |value: &&Self| value.as_str().eq_ignore_ascii_case(text);
                Self::ALL.iter().find(is_named).copied().ok_or_else(|| ParseError {
                    problem: $problem,
                    found: text.to_owned(),
                    expected: concat!($first_name, $(", ", $rest_name),*),
                })
            }
        }
    };
}

names! {
    /// The earlier versions that a new version is compared with, and the direction.
    CompatibilityLevel, "unknown compatibility level"
    /// No comparison.
    None = "NONE",
    /// The new schema can read data of the latest version.
    Backward = "BACKWARD",
    /// The new schema can read data of every version.
    BackwardTransitive = "BACKWARD_TRANSITIVE",
    /// The latest version can read data of the new schema.
    Forward = "FORWARD",
    /// Every version can read data of the new schema.
    ForwardTransitive = "FORWARD_TRANSITIVE",
    /// Both directions with the latest version.
    Full = "FULL",
    /// Both directions with every version.
    FullTransitive = "FULL_TRANSITIVE",
}

impl CompatibilityLevel {
    /// Returns whether all live versions are compared rather than only the latest.
    #[must_use]
    pub fn is_transitive(self) -> bool {
        match self {
            Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive => true,
            Self::None | Self::Backward | Self::Forward | Self::Full => false,
        }
    }
}

names! {
    /// Strictness of a comparison.
    CompatibilityPolicy, "unknown compatibility policy"
    /// By the specification's rules.
    Strict = "STRICT",
    /// With Confluent's exceptions for JSON Schema.
    Lenient = "LENIENT",
    /// By logical types.
    Logical = "LOGICAL",
}

names! {
    /// The changes that a subject, a context or the whole registry accepts.
    Mode, "unknown mode"
    /// All changes except registrations with an id of their own.
    Readwrite = "READWRITE",
    /// No changes.
    Readonly = "READONLY",
    /// No changes, like `READONLY`.
    ReadonlyOverride = "READONLY_OVERRIDE",
    /// Registrations with an id of their own, without compatibility checks.
    Import = "IMPORT",
    /// Like `IMPORT`, for the target of a full replication; global only.
    Forward = "FORWARD",
}

impl Mode {
    /// Returns whether registrations, deletes and settings are rejected.
    #[must_use]
    pub fn is_read_only(self) -> bool {
        match self {
            Self::Readonly | Self::ReadonlyOverride => true,
            Self::Readwrite | Self::Import | Self::Forward => false,
        }
    }

    /// Returns whether registrations carry their own ids and are stored unchecked.
    #[must_use]
    pub fn is_import(self) -> bool {
        match self {
            Self::Import | Self::Forward => true,
            Self::Readwrite | Self::Readonly | Self::ReadonlyOverride => false,
        }
    }
}

names! {
    /// The language of a schema.
    #[derive(Default)]
    SchemaType, "unknown schema type"
    /// Apache Avro: parsed, compared and enforced.
    #[default]
    Avro = "AVRO",
    /// JSON Schema: stored and found by its text.
    Json = "JSON",
    /// Protocol Buffers: stored and found by its text.
    Protobuf = "PROTOBUF",
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T>(name: &str, value: T)
    where
        T: FromStr<Err = ParseError> + fmt::Debug + PartialEq + Serialize,
    {
        assert_eq!(serde_json::to_value(&value).unwrap(), name);
        assert_eq!(name.parse(), Ok(value));
    }

    #[test]
    fn names_parse_in_any_case() {
        for &level in CompatibilityLevel::ALL {
            check(level.as_str(), level);
        }
        for &mode in Mode::ALL {
            check(mode.as_str(), mode);
        }
        for &policy in CompatibilityPolicy::ALL {
            check(policy.as_str(), policy);
        }
        for &schema_type in SchemaType::ALL {
            check(schema_type.as_str(), schema_type);
        }
        let level = "backward_Transitive".parse();
        assert_eq!(level, Ok(CompatibilityLevel::BackwardTransitive));
    }

    #[test]
    fn unknown_names_list_the_accepted_ones() {
        let error = "THRIFT".parse::<SchemaType>().unwrap_err();
        let message = "unknown schema type \"THRIFT\"; expected AVRO, JSON, PROTOBUF";
        assert_eq!(error.to_string(), message);
        assert!("FORWARDS".parse::<CompatibilityLevel>().is_err());
    }
}
