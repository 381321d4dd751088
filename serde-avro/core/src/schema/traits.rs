//! Standard traits of [`Schema`], all in terms of the string that [`Display`](fmt::Display) prints.

use super::{ParseError, Schema};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

/// Parses a self-contained schema; see [`Schema::parse`].
impl FromStr for Schema {
    type Err = ParseError;

    fn from_str(source: &str) -> Result<Self, ParseError> {
        Self::parse(source)
    }
}

/// Prints the string of Java's `Schema.toString()`: compact JSON with attributes in a fixed order
/// and referenced schemas written out, so that it parses by itself. A Confluent registry returns
/// the same string for `format=resolved`.
impl fmt::Display for Schema {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.string_of(self.root()))
    }
}

/// Two schemas are equal if they print the same string. White space, the order of the
/// specification's attributes and the use of references make no difference; documentation, aliases,
/// defaults and other attributes do, because readers may depend on them. For "encodes data in the
/// same way" compare [`Schema::parsing_canonical_form`].
impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        // Clones share the model, which is the usual case in caches.
        Arc::ptr_eq(&self.model, &other.model) || self.to_string() == other.to_string()
    }
}

impl Eq for Schema {}

impl Hash for Schema {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Consistent with `eq`: equal schemas print the same string.
        self.to_string().hash(state);
    }
}

/// Serializes the printed string, in every format.
#[cfg(feature = "serde")]
impl serde::Serialize for Schema {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Deserializes a string, within the default [`Limits`](super::Limits).
#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for Schema {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = String::deserialize(deserializer)?;
        source.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn equality_ignores_layout_and_references() {
        let id = Schema::parse(r#"{"type":"fixed","name":"a.Id","size":16}"#).unwrap();
        let referring = r#"{"type":"array", "items":"a.Id"}"#;
        let referring = Schema::parse_with(referring, &[id], &Limits::default()).unwrap();
        let inline =
            r#"{"items":{"name":"Id","namespace":"a","type":"fixed","size":16},"type":"array"}"#;
        let inline: Schema = inline.parse().unwrap();
        assert_eq!(referring, inline);
        assert_eq!(HashSet::from([referring, inline.clone()]).len(), 1);
        assert_eq!(inline.to_string().parse(), Ok(inline));
    }

    #[test]
    fn equality_includes_documentation_and_defaults() {
        let field = |rest| {
            format!(
                r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":"int"{rest}}}]}}"#
            )
        };
        let schemas = ["", r#","doc":"d""#, r#","default":1"#, r#","x":1"#].map(field);
        let schemas = schemas.map(|source| Schema::parse(&source).unwrap());
        let canonical: HashSet<_> = schemas.iter().map(Schema::parsing_canonical_form).collect();
        assert_eq!(canonical.len(), 1);
        assert_eq!(HashSet::from(schemas).len(), 4);
    }
}
