//! The schema model: a parser, an immutable graph of types, and the strings printed from it.
//!
//! The parser accepts what Java's strict parser accepts (Avro 1.12 and 1.13, ASCII names, validated
//! defaults) and rejects what it rejects, within [`Limits`]. Subjects, versions and ids are not
//! part of the model.
//!
//! Extensions of the specification, as in Java: a name may be used before its definition; a name
//! without namespace may be used from within a namespace; a type may be defined twice if both
//! definitions are equivalent; comments are allowed between tokens. Differences from Java: an
//! unpaired surrogate in a string is rejected, and so is a default of a float or double that is a
//! string with a hexadecimal number.

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

/// A parsed schema. Immutable, cheap to clone, and shareable between threads.
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
    /// The named types that are roots of references, which the registry string refers to by name.
    reference_roots: Vec<NodeId>,
}

/// Maxima of one schema. Memory and time grow in proportion to each limit; `depth` also costs
/// stack, about 2 KiB a level.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Nesting of types, in the source and through the first use of each name. JSON values may nest
    /// 1,000 levels deep, whatever this limit.
    pub depth: usize,
    /// Types, including uses of names that are not defined yet and the types of referenced schemas.
    pub nodes: usize,
    /// Symbols of one enum.
    pub symbols: usize,
    /// Branches of one union.
    pub branches: usize,
    /// Fields of one record.
    pub fields: usize,
    /// Bytes of one full name, alias or symbol.
    pub name_bytes: usize,
    /// Size of one fixed, in bytes.
    pub fixed_bytes: usize,
    /// Bytes of the source.
    pub source_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth: 256,
            nodes: 20_000,
            symbols: 10_000,
            branches: 4_096,
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
    /// Parses a self-contained schema, within the default [`Limits`].
    ///
    /// # Errors
    /// Returns a [`ParseError`] with the position if `source` is not a valid schema.
    pub fn parse(source: &str) -> Result<Self, ParseError> {
        Self::parse_with(source, &[], &Limits::default())
    }

    /// Parses a schema that may use the named types of `references`, including those that these
    /// have from their own references. If two references define the same name, the first one
    /// applies.
    ///
    /// # Errors
    /// As [`Schema::parse`].
    pub fn parse_with(
        source: &str,
        references: &[Self],
        limits: &Limits,
    ) -> Result<Self, ParseError> {
        let checks = Checks::All;
        Parser::parse(source, references, limits, checks)
            .map_err(|failure| ParseError::new(source, failure))
    }

    /// Parses a schema as old versions of Java's parser did, which checked neither the characters
    /// of names nor the defaults of fields. Everything else is checked as in
    /// [`Schema::parse_with`].
    ///
    /// # Errors
    /// As [`Schema::parse`].
    pub fn parse_legacy(
        source: &str,
        references: &[Self],
        limits: &Limits,
    ) -> Result<Self, ParseError> {
        let checks = Checks::Legacy;
        Parser::parse(source, references, limits, checks)
            .map_err(|failure| ParseError::new(source, failure))
    }

    /// Returns the string that the schema was parsed from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.model.source
    }

    /// Returns the root node.
    #[must_use]
    pub fn root(&self) -> NodeId {
        self.model.root
    }

    /// Returns a node of this schema.
    ///
    /// # Panics
    /// If `id` belongs to another, larger schema.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.model.nodes[id.index()]
    }

    /// Returns the node of a named type by its full name. Types of references are included.
    #[must_use]
    pub fn named(&self, fullname: &str) -> Option<NodeId> {
        self.model.names.get(fullname).copied()
    }

    /// Returns the number of branches of the largest union, 0 without unions.
    #[must_use]
    pub fn widest_union(&self) -> usize {
        let nodes = self.model.nodes.iter();
        let branches = nodes.map(|node| match &node.kind {
            Type::Union(branches) => branches.len(),
            _ => 0,
        });
        branches.max().unwrap_or_default()
    }

    /// Returns the nesting of types, each named type being followed at its first use; 0 for a type
    /// without children. See [`Limits::depth`].
    #[must_use]
    pub fn depth(&self) -> usize {
        let mut deepest = 0;
        let mut queue = vec![(self.root(), 0)];
        let mut seen = vec![false; self.model.nodes.len()];
        while let Some((id, depth)) = queue.pop() {
            deepest = deepest.max(depth);
            // Only named types have several uses.
            if !std::mem::replace(&mut seen[id.index()], true) {
                let children = self.node(id).kind.children().rev();
                queue.extend(children.map(|child| (child, depth + 1)));
            }
        }
        deepest
    }

    /// Returns the full name of the schema, if it is a record, enum or fixed.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.node(self.root()).name()
    }

    /// Returns a schema whose root is a node of this one, such as the schema of a nested record.
    /// [`Schema::source`] remains that of this schema.
    ///
    /// # Panics
    /// If `id` belongs to another, larger schema.
    #[must_use]
    pub fn definition(&self, id: NodeId) -> Self {
        let model = &*self.model;
        Self {
            model: Arc::new(Model {
                source: model.source.clone(),
                nodes: model.nodes.clone(),
                root: id,
                root_span: self.node(id).span,
                names: model.names.clone(),
                // Printed without a reference by name, as the result is self-contained.
                reference_roots: Vec::new(),
            }),
        }
    }

    /// Returns the number of nodes. The index of every [`NodeId`] of this schema is smaller.
    pub(crate) fn node_count(&self) -> usize {
        self.model.nodes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a union of records, each with two fields of the type of the record before it.
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

    // Conformance: registry/rule-11
    #[test]
    fn legacy_parser_skips_names_and_defaults_only() {
        let record = |name: &str, field: &str| {
            format!(r#"{{"type":"record","name":"{name}","fields":[{field}]}}"#)
        };
        let accepted = [
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
        for text in accepted {
            assert!(Schema::parse(&text).is_err(), "{text}");
            let legacy = Schema::parse_legacy(&text, &[], &Limits::default()).unwrap();
            let again = legacy.to_registry_string();
            assert_eq!(again, text);
            let parsed = Schema::parse_legacy(&again, &[], &Limits::default());
            assert_eq!(parsed.unwrap().to_registry_string(), again);
        }
        let rejected = [
            "",
            "{}",
            r#"["int","int"]"#,
            r#"{"type":"record","name":"R"}"#,
            r#"{"type":"record","name":"int","fields":[]}"#,
            r#"{"type":"enum","name":"E","symbols":["a"],"default":"b"}"#,
        ];
        for text in rejected {
            let parsed = Schema::parse_legacy(text, &[], &Limits::default());
            assert!(parsed.is_err(), "{text}");
        }
    }

    #[test]
    fn definitions_print_nested_types() {
        let schema = Schema::parse(&doubling(3)).unwrap();
        let nested = schema.definition(schema.named("R1").unwrap());
        let expected = concat!(
            r#"{"type":"record","name":"R1","fields":[{"name":"a","type":"#,
            r#"{"type":"record","name":"R0","fields":[]}},{"name":"b","type":"R0"}]}"#,
        );
        assert_eq!(nested.to_string(), expected);
        let alone = Schema::parse(expected).unwrap();
        assert_eq!(nested.rabin_fingerprint(), alone.rabin_fingerprint());
    }

    // Conformance: avro/1e
    #[test]
    fn used_names_add_no_nodes() {
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
