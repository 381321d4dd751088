//! Names: the specification's simple names, namespaces and full names.

use std::fmt;

/// Names that stand for types and not for namespaces, as Java sees it when it shortens one.
const TYPE_WORDS: [&str; 14] = [
    "record", "enum", "array", "map", "union", "fixed", "string", "bytes", "int", "long", "float",
    "double", "boolean", "null",
];

/// The full name of a record, enum or fixed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    fullname: Box<str>,
    /// Bytes of the namespace and its dot.
    prefix_bytes: usize,
}

impl Name {
    /// A checked name: `name` itself if it is dotted, else within `space`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn new(name: &str, space: Option<&str>) -> Result<Self, String> {
        let (space, simple) = parts(name, space);
        check_simple_name(simple)?;
        for part in space.into_iter().flat_map(|space| space.split('.')) {
            check_simple_name(part)
                .map_err(|why| format!("the namespace of \"{name}\" is wrong: {why}"))?;
        }
        Ok(Self::unchecked(name, space))
    }

    /// The same name, whatever characters it has.
    pub(crate) fn unchecked(name: &str, space: Option<&str>) -> Self {
        match parts(name, space) {
            (Some(space), simple) => Self {
                fullname: format!("{space}.{simple}").into(),
                prefix_bytes: space.len() + 1,
            },
            (None, simple) => Self {
                fullname: simple.into(),
                prefix_bytes: 0,
            },
        }
    }

    /// Namespace and simple name, such as `com.example.Payment`.
    #[must_use]
    pub fn fullname(&self) -> &str {
        &self.fullname
    }

    /// The part behind the last dot.
    #[must_use]
    pub fn simple(&self) -> &str {
        self.fullname.get(self.prefix_bytes..).unwrap_or_default()
    }

    /// The part before the last dot, if there is one.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.fullname.get(..self.prefix_bytes.checked_sub(1)?)
    }

    /// The text that Java refers to this name by from within `space`: short if it means the same,
    /// and full if the short form would read as the name of a type.
    pub(crate) fn seen_from(&self, space: Option<&str>) -> &str {
        if self.namespace() == space && !TYPE_WORDS.contains(&self.simple()) {
            self.simple()
        } else {
            self.fullname()
        }
    }
}

/// Namespace and simple name of a name that stands in `space`.
fn parts<'a>(name: &'a str, space: Option<&'a str>) -> (Option<&'a str>, &'a str) {
    let (space, simple) = match name.rsplit_once('.') {
        Some((space, simple)) => (Some(space), simple),
        None => (space, name),
    };
    (space.filter(|space| !space.is_empty()), simple)
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.fullname)
    }
}

/// Checks `[A-Za-z_][A-Za-z0-9_]*`.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_simple_name(name: &str) -> Result<(), String> {
    const RIGHT: &str = "a name has the letters A-Z, a-z, the digits 0-9 and _";
    match name.chars().next() {
        None => return Err(format!("empty name; {RIGHT}")),
        Some(first) if first.is_ascii_alphabetic() || first == '_' => {}
        Some(_) => {
            return Err(format!(
                "\"{name}\" starts with a wrong character; {RIGHT}, no digit first"
            ));
        }
    }
    match name
        .chars()
        .find(|c| !c.is_ascii_alphanumeric() && *c != '_')
    {
        None => Ok(()),
        Some(wrong) => Err(format!("\"{name}\" contains {wrong:?}; {RIGHT}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: avro/1b
    #[test]
    fn a_dotted_name_carries_its_own_namespace() {
        let table = [
            ("R", None, "R", None, "R"),
            ("R", Some("a.b"), "a.b.R", Some("a.b"), "R"),
            ("c.R", Some("a.b"), "c.R", Some("c"), "R"),
            (".R", Some("a.b"), "R", None, "R"),
            ("R", Some(""), "R", None, "R"),
        ];
        for (name, space, full, full_space, simple) in table {
            let name = Name::new(name, space).unwrap();
            assert_eq!(
                (name.fullname(), name.namespace(), name.simple()),
                (full, full_space, simple)
            );
        }
    }

    // Conformance: avro/1a
    #[test]
    fn wrong_names_are_refused() {
        for name in ["", "1a", "a-b", "a.", "a..b", ".", "é", "a.é", " a", "a$"] {
            assert!(Name::new(name, None).is_err(), "{name:?}");
        }
        assert!(Name::new("R", Some("a.")).is_err());
    }

    // Conformance: avro/1b
    #[test]
    fn a_reference_is_short_where_it_means_the_same() {
        let name = |full| Name::new(full, None).unwrap();
        assert_eq!(name("a.R").seen_from(Some("a")), "R");
        assert_eq!(name("a.R").seen_from(Some("b")), "a.R");
        assert_eq!(name("a.R").seen_from(None), "a.R");
        assert_eq!(name("a.long").seen_from(Some("a")), "a.long");
        assert_eq!(name("R").seen_from(Some("a")), "R");
    }
}
