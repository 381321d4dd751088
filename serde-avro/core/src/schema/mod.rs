//! The schema model: texts in, an immutable graph of types out.
//!
//! Owns the parser, the model and the texts that are derived from it. What Java's strict parser
//! (Avro 1.12 and 1.13, ASCII names, defaults validated) takes is taken and what it refuses is
//! refused, within [`Limits`]. It knows nothing of subjects, versions and ids.
//!
//! Beyond the specification, as Java: a name may be referred to before it is defined, and from
//! within a namespace by its simple name if it has none itself; a type may be defined twice if both
//! definitions mean the same; and comments may stand between tokens.
//! Not as Java: half a surrogate pair in a string is refused, and so is a string default of a
//! float or double that is written in hexadecimal.

mod default;
mod error;
mod fingerprint;
mod hints;
mod import;
mod model;
mod name;
mod normalize;
mod parse;
mod print;
mod site;
mod traits;
mod value;

pub use crate::span::Span;
pub use error::ParseError;
pub use model::{Enum, Field, Fixed, Named, Node, NodeId, Order, Record, Type};
pub use name::Name;
pub use site::Site;
pub use value::JsonValue;

use parse::{Checks, Parser};
use std::{collections::HashMap, sync::Arc};

/// A parsed schema: immutable, cheap to clone, to be shared between threads.
#[derive(Clone, Debug)]
pub struct Schema {
    model: Arc<Model>,
}

#[derive(Debug)]
struct Model {
    source: Box<str>,
    nodes: Vec<Node>,
    root: NodeId,
    root_span: Span,
    names: HashMap<Box<str>, NodeId>,
    /// Named types that are the root of a reference: canonical text refers to them.
    outside: Vec<NodeId>,
}

/// Maxima of one schema. Memory and time grow in proportion to each limit; `depth` also costs stack,
/// about 2 KiB a level.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Types within types, by the text or by following names for the first time. JSON values
    /// may nest four times as deep.
    pub depth: usize,
    /// Types, references to named types and everything in referenced schemas included.
    pub nodes: usize,
    /// Symbols of one enum.
    pub symbols: usize,
    /// Branches of one union.
    pub branches: usize,
    /// Fields of one record.
    pub fields: usize,
    /// Bytes of one full name.
    pub name_bytes: usize,
    /// Bytes of one fixed.
    pub fixed_bytes: usize,
    /// Bytes of the text.
    pub source_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 64,
            nodes: 20_000,
            symbols: 10_000,
            branches: 256,
            fields: 5_000,
            name_bytes: 1_024,
            fixed_bytes: 1 << 20,
            source_bytes: 1 << 20,
        }
    }
}

impl Limits {
    /// Sets the maximum depth.
    #[must_use]
    pub fn with_depth(self, depth: usize) -> Self {
        Self { depth, ..self }
    }

    /// Sets the maximum number of types.
    #[must_use]
    pub fn with_nodes(self, nodes: usize) -> Self {
        Self { nodes, ..self }
    }

    /// Sets the maximum number of symbols.
    #[must_use]
    pub fn with_symbols(self, symbols: usize) -> Self {
        Self { symbols, ..self }
    }

    /// Sets the maximum number of branches.
    #[must_use]
    pub fn with_branches(self, branches: usize) -> Self {
        Self { branches, ..self }
    }

    /// Sets the maximum number of fields.
    #[must_use]
    pub fn with_fields(self, fields: usize) -> Self {
        Self { fields, ..self }
    }

    /// Sets the maximum length of names, in bytes.
    #[must_use]
    pub fn with_name_bytes(self, name_bytes: usize) -> Self {
        Self { name_bytes, ..self }
    }

    /// Sets the maximum size of fixed types, in bytes.
    #[must_use]
    pub fn with_fixed_bytes(self, fixed_bytes: usize) -> Self {
        Self {
            fixed_bytes,
            ..self
        }
    }

    /// Sets the maximum length of the source, in bytes.
    #[must_use]
    pub fn with_source_bytes(self, source_bytes: usize) -> Self {
        Self {
            source_bytes,
            ..self
        }
    }
}

impl Schema {
    /// Parses a text that stands for itself, within the default [`Limits`].
    ///
    /// # Errors
    /// When the text is no schema: what is wrong, what would be right, and where.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Self::parse_with(text, &[], &Limits::default())
    }

    /// Parses a text in which the named types of `references` are in scope, those that the
    /// references took from their own references included. Of two references that define one
    /// name, the first counts.
    ///
    /// # Errors
    /// As [`Schema::parse`].
    pub fn parse_with(
        text: &str,
        references: &[Self],
        limits: &Limits,
    ) -> Result<Self, ParseError> {
        let checks = Checks::All;
        Parser::parse(text, references, limits, checks)
            .map_err(|mistake| ParseError::new(text, mistake))
    }

    /// Parses a text that older parsers took: names may hold any characters, and a field's default
    /// may be any value. Everything else is as for [`Schema::parse_with`].
    ///
    /// # Errors
    /// As [`Schema::parse`].
    pub fn parse_legacy(
        text: &str,
        references: &[Self],
        limits: &Limits,
    ) -> Result<Self, ParseError> {
        let checks = Checks::AllButNamesAndDefaults;
        Parser::parse(text, references, limits, checks)
            .map_err(|mistake| ParseError::new(text, mistake))
    }

    /// Returns the string that the schema was parsed from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.model.source
    }

    /// The node of the whole schema.
    #[must_use]
    pub fn root(&self) -> NodeId {
        self.model.root
    }

    /// A node of this schema.
    ///
    /// # Panics
    /// If `id` is of another, larger schema.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.model.nodes[id.index()]
    }

    /// The node of a named type by its full name, those of references included.
    #[must_use]
    pub fn named(&self, full_name: &str) -> Option<NodeId> {
        self.model.names.get(full_name).copied()
    }

    /// The full name of the whole schema, if it is a record, enum or fixed.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.node(self.root()).name()
    }

    /// How many nodes there are; every [`NodeId`] of this schema is below.
    pub(crate) fn node_count(&self) -> usize {
        self.model.nodes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of which each is made of the one before twice, by its name.
    fn doubling(records: usize) -> String {
        let record = |at: usize| {
            let part = |name| format!(r#"{{"name":"{name}","type":"R{}"}}"#, at - 1);
            let fields = if at == 0 {
                String::new()
            } else {
                format!("{},{}", part("a"), part("b"))
            };
            format!(r#"{{"type":"record","name":"R{at}","fields":[{fields}]}}"#)
        };
        let records: Vec<_> = (0..records).map(record).collect();
        format!("[{}]", records.join(","))
    }

    /// Texts that are refused today, and what they are as canonical text.
    // Conformance: registry/rule-11
    #[test]
    fn a_legacy_text_may_have_any_names_and_defaults_and_nothing_else_that_is_wrong() {
        let record = |name: &str, field: &str| {
            format!(r#"{{"type":"record","name":"{name}","fields":[{field}]}}"#)
        };
        let taken = [
            record("R-x", ""),
            record("R", r#"{"name":"a-b","type":"int"}"#),
            record("R", r#"{"name":"a","type":"int","default":"one"}"#),
            record("R", r#"{"name":"a","type":"double","default":"one"}"#),
            record("R", r#"{"name":"a","type":["null","int"],"default":{}}"#),
            record(
                "R",
                r#"{"name":"a","type":{"type":"enum","name":"E","symbols":["x y"]}}"#,
            ),
            r#"{"type":"fixed","name":"F","namespace":"a-b.1","size":4,"aliases":["G!"]}"#.into(),
        ];
        for text in taken {
            assert!(Schema::parse(&text).is_err(), "{text}");
            let legacy = Schema::parse_legacy(&text, &[], &Limits::default()).unwrap();
            let again = legacy.to_registry_string();
            assert_eq!(again, text);
            let parsed = Schema::parse_legacy(&again, &[], &Limits::default());
            assert_eq!(parsed.unwrap().to_registry_string(), again);
        }
        let refused = [
            "",
            "{}",
            r#"["int","int"]"#,
            r#"{"type":"record","name":"R"}"#,
            r#"{"type":"record","name":"int","fields":[]}"#,
            r#"{"type":"enum","name":"E","symbols":["a"],"default":"b"}"#,
        ];
        for text in refused {
            let parsed = Schema::parse_legacy(text, &[], &Limits::default());
            assert!(parsed.is_err(), "{text}");
        }
    }

    // Conformance: avro/1e
    #[test]
    fn a_schema_has_a_node_for_each_type_of_its_text_and_none_for_a_name_used_again() {
        for records in [1, 10, 60] {
            let schema = Schema::parse(&doubling(records)).unwrap();
            assert_eq!(schema.node_count(), 1 + records);
        }
        let field = |at| format!(r#"{{"name":"f{at}","type":["null","int"],"default":null}}"#);
        for fields in [1, 100, 5_000] {
            let list: Vec<_> = (0..fields).map(field).collect();
            let list = list.join(",");
            let text = format!(r#"{{"type":"record","name":"R","fields":[{list}]}}"#);
            assert_eq!(Schema::parse(&text).unwrap().node_count(), 1 + 3 * fields);
        }
    }
}
