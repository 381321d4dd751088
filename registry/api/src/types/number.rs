//! Schema ids and version numbers. A value that exists is valid, so callers need no range checks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
#[cfg(feature = "openapi")]
use utoipa::openapi::RefOr;
#[cfg(feature = "openapi")]
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};

use super::ParseError;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $minimum:literal, $problem:literal, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        // Deserialization checks the range too.
        #[serde(into = "i32", try_from = "i32")]
        pub struct $name(i32);

        impl $name {
            /// Returns the value for a number in range, `None` for any other.
            #[must_use]
            // Signed, as in Confluent's registry and on the wire.
            pub const fn new(number: i32) -> Option<Self> {
                if number >= $minimum {
                    Some(Self(number))
                } else {
                    None
                }
            }

            /// Returns the number on the wire.
            #[must_use]
            pub const fn get(self) -> i32 {
                self.0
            }

            /// Returns the value one higher, `None` at the maximum.
            #[must_use]
            pub fn next(self) -> Option<Self> {
                self.0.checked_add(1).map(Self)
            }
        }

        #[cfg(feature = "openapi")]
        impl utoipa::ToSchema for $name {}

        #[cfg(feature = "openapi")]
        impl utoipa::PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let number = ObjectBuilder::new().schema_type(Type::Integer);
                let number = number.format(Some(SchemaFormat::KnownFormat(KnownFormat::Int32)));
                number.minimum(Some($minimum)).into()
            }
        }

        impl TryFrom<i32> for $name {
            type Error = ParseError;

            fn try_from(number: i32) -> Result<Self, ParseError> {
                Self::new(number).ok_or_else(|| invalid($problem, &number, $expected))
            }
        }

        impl From<$name> for i32 {
            fn from(value: $name) -> Self {
                value.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                let number = text.parse().ok().and_then(Self::new);
                number.ok_or_else(|| invalid($problem, &text, $expected))
            }
        }
    };
}

number! {
    /// The id of a schema, unique in its context. New ids start at 1; an import may bring 0.
    SchemaId, 0, "invalid schema id", "a number from 0 to 2147483647"
}

number! {
    /// The number of a version within its subject, starting at 1.
    Version, 1, "invalid version", "a number from 1 to 2147483647"
}

impl Version {
    /// The first version of a subject.
    pub const FIRST: Self = Self(1);
}

/// A version as a path names it: a number, or the latest one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionSelector {
    /// The highest version that is not soft-deleted, written `latest` or `-1`.
    Latest,
    /// Exactly this version.
    Number(Version),
}

impl VersionSelector {
    /// Returns the number that messages use: -1 for the latest version.
    #[must_use]
    pub fn number(self) -> i32 {
        match self {
            Self::Latest => -1,
            Self::Number(version) => version.get(),
        }
    }
}

impl From<Version> for VersionSelector {
    fn from(version: Version) -> Self {
        Self::Number(version)
    }
}

impl fmt::Display for VersionSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Number(version) => version.fmt(f),
        }
    }
}

impl FromStr for VersionSelector {
    type Err = ParseError;

    /// Parses a number from 1, or `latest` in any case, or `-1`.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.eq_ignore_ascii_case("latest") || text == "-1" {
            return Ok(Self::Latest);
        }
        text.parse().map(Self::Number).map_err(|_| {
            let expected = "a number from 1 to 2147483647, or latest";
            invalid("invalid version", &text, expected)
        })
    }
}

fn invalid(problem: &'static str, found: &dyn fmt::Display, expected: &'static str) -> ParseError {
    ParseError {
        problem,
        found: found.to_string(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: registry/rule-10
    #[test]
    fn selectors_are_positive_numbers_or_latest() {
        let number = |number| Version::new(number).map(VersionSelector::Number);
        let table = [
            ("1", number(1)),
            ("2147483647", number(i32::MAX)),
            ("latest", Some(VersionSelector::Latest)),
            ("LATEST", Some(VersionSelector::Latest)),
            ("-1", Some(VersionSelector::Latest)),
            ("0", None),
            ("-2", None),
            ("abc", None),
            ("2147483648", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse().ok(), expected, "{text:?}");
        }
        let error = "0".parse::<VersionSelector>().unwrap_err();
        let message = "invalid version \"0\"; expected a number from 1 to 2147483647, or latest";
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn numbers_out_of_range_are_rejected() {
        assert_eq!(SchemaId::new(0).map(SchemaId::get), Some(0));
        assert_eq!((SchemaId::new(-1), Version::new(0)), (None, None));
        assert_eq!(Version::FIRST.next(), Version::new(2));
        assert_eq!(SchemaId::new(i32::MAX).unwrap().next(), None);
        let error = serde_json::from_str::<SchemaId>("-5").unwrap_err();
        let message = "invalid schema id \"-5\"; expected a number from 0 to 2147483647";
        assert_eq!(error.to_string(), message);
        assert!("x".parse::<Version>().is_err());
    }

    #[test]
    fn numbers_are_plain_in_json() {
        let id: SchemaId = "41".parse().unwrap();
        assert_eq!(serde_json::to_string(&id).unwrap(), "41");
        assert_eq!(serde_json::from_str::<SchemaId>("41").unwrap(), id);
        assert_eq!(id.to_string(), "41");
    }
}
