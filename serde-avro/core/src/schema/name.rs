//! Names: simple names, namespaces and full names (specification, section Names).

use std::fmt;

/// Simple names that Java never uses to refer to a type, because they read as a type of the
/// specification.
const TYPE_NAMES: [&str; 14] = [
    "record", "enum", "array", "map", "union", "fixed", "string", "bytes", "int", "long", "float",
    "double", "boolean", "null",
];

/// The full name of a record, enum or fixed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    fullname: Box<str>,
    /// The length of the namespace and the dot, 0 without a namespace.
    prefix_bytes: usize,
}

impl Name {
    /// Creates a name: `name` itself if it is dotted, else `name` within `namespace`.
    ///
    /// # Errors
    /// Returns a [`NameError`] if the name or a component of its namespace has invalid characters.
    pub(crate) fn new(name: &str, namespace: Option<&str>) -> Result<Self, NameError> {
        let (namespace, simple) = split(name, namespace);
        check_simple_name(simple)?;
        for component in namespace
            .into_iter()
            .flat_map(|namespace| namespace.split('.'))
        {
            check_simple_name(component).map_err(|error| NameError::Namespace {
                name: name.to_owned(),
                error: Box::new(error),
            })?;
        }
        Ok(Self::unchecked(name, namespace))
    }

    /// Creates a name without checking its characters.
    pub(crate) fn unchecked(name: &str, namespace: Option<&str>) -> Self {
        match split(name, namespace) {
            (Some(namespace), simple) => Self {
                fullname: format!("{namespace}.{simple}").into(),
                prefix_bytes: namespace.len() + 1,
            },
            (None, simple) => Self {
                fullname: simple.into(),
                prefix_bytes: 0,
            },
        }
    }

    /// Returns the full name, such as `com.example.Payment`.
    #[must_use]
    pub fn fullname(&self) -> &str {
        &self.fullname
    }

    /// Returns the simple name, which is the part after the last dot.
    #[must_use]
    pub fn simple(&self) -> &str {
        self.fullname.get(self.prefix_bytes..).unwrap_or_default()
    }

    /// Returns the namespace, which is the part before the last dot.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.fullname.get(..self.prefix_bytes.checked_sub(1)?)
    }

    /// Returns the name by which Java refers to the type from within `namespace`: the simple name
    /// if the namespaces are equal, unless it reads as a type of the specification.
    pub(crate) fn relative_to(&self, namespace: Option<&str>) -> &str {
        if self.namespace() == namespace && !TYPE_NAMES.contains(&self.simple()) {
            self.simple()
        } else {
            self.fullname()
        }
    }
}

/// Returns the namespace and the simple name of `name`, which is used within `namespace`.
fn split<'a>(name: &'a str, namespace: Option<&'a str>) -> (Option<&'a str>, &'a str) {
    let (namespace, simple) = match name.rsplit_once('.') {
        Some((namespace, simple)) => (Some(namespace), simple),
        None => (namespace, name),
    };
    // An empty namespace, as in ".R", is the null namespace.
    (namespace.filter(|namespace| !namespace.is_empty()), simple)
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.fullname)
    }
}

/// The reasons why a name is invalid.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NameError {
    #[error("empty name; expected {NAME_CHARACTERS}")]
    Empty,
    #[error("\"{name}\" starts with {found:?}; expected a letter A-Z, a-z or _")]
    Start { name: String, found: char },
    #[error("\"{name}\" contains {found:?}; expected {NAME_CHARACTERS}")]
    Character { name: String, found: char },
    #[error("invalid namespace of \"{name}\": {error}")]
    Namespace { name: String, error: Box<Self> },
    #[error("the name has {bytes} bytes; the maximum is {bytes_max}")]
    TooLong { bytes: usize, bytes_max: usize },
}

const NAME_CHARACTERS: &str = "letters A-Z and a-z, digits 0-9 and _";

/// Checks that a name matches `[A-Za-z_][A-Za-z0-9_]*`.
///
/// # Errors
/// Returns a [`NameError`] with the first invalid character.
pub(crate) fn check_simple_name(name: &str) -> Result<(), NameError> {
    let first = name.chars().next().ok_or(NameError::Empty)?;
    if !first.is_ascii_alphabetic() && first != '_' {
        let (name, found) = (name.to_owned(), first);
        return Err(NameError::Start { name, found });
    }
    let mut characters = name.chars();
    match characters.find(|c| !c.is_ascii_alphanumeric() && *c != '_') {
        None => Ok(()),
        Some(found) => Err(NameError::Character {
            name: name.to_owned(),
            found,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: avro/1b
    #[test]
    fn dotted_names_ignore_the_enclosing_namespace() {
        let table = [
            ("R", None, "R", None, "R"),
            ("R", Some("a.b"), "a.b.R", Some("a.b"), "R"),
            ("c.R", Some("a.b"), "c.R", Some("c"), "R"),
            (".R", Some("a.b"), "R", None, "R"),
            ("R", Some(""), "R", None, "R"),
        ];
        for (name, enclosing, fullname, namespace, simple) in table {
            let name = Name::new(name, enclosing).unwrap();
            assert_eq!(
                (name.fullname(), name.namespace(), name.simple()),
                (fullname, namespace, simple)
            );
        }
    }

    // Conformance: avro/1a
    #[test]
    fn invalid_names_are_rejected() {
        for name in ["", "1a", "a-b", "a.", "a..b", ".", "é", "a.é", " a", "a$"] {
            assert!(Name::new(name, None).is_err(), "{name:?}");
        }
        assert!(Name::new("R", Some("a.")).is_err());
    }

    // Conformance: avro/1b
    #[test]
    fn references_within_a_namespace_are_short() {
        let name = |full| Name::new(full, None).unwrap();
        assert_eq!(name("a.R").relative_to(Some("a")), "R");
        assert_eq!(name("a.R").relative_to(Some("b")), "a.R");
        assert_eq!(name("a.R").relative_to(None), "a.R");
        assert_eq!(name("a.long").relative_to(Some("a")), "a.long");
        assert_eq!(name("R").relative_to(Some("a")), "R");
    }
}
