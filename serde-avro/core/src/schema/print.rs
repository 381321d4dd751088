//! The strings of a schema: those of Java and Confluent, and the Parsing Canonical Form.
//!
//! Each writes out a named type at its first use and writes its name afterwards. The recursion is
//! bounded, because the parser limits the nesting of types including that through names.

use super::normalize::normalized;
use super::{Enum, Fixed, Name, Node, NodeId, Order, Record, Schema, Type};
use crate::json::{Member, write_string, write_value};
use std::collections::HashSet;

impl Schema {
    /// Returns the string of Java's `Schema.toString(references, false)`, which a Confluent
    /// registry stores and compares: compact JSON, attributes in a fixed order, custom attributes
    /// in the order of the source. A type that is the root of a referenced schema is printed as its
    /// name; other types of referenced schemas are written out. Without references it is the string
    /// that `Display` prints.
    #[must_use]
    pub fn to_registry_string(&self) -> String {
        self.print(&self.model.nodes)
    }

    /// Returns the string that a Confluent registry stores under `normalize=true`: as
    /// [`Schema::to_registry_string`], with aliases and custom attributes sorted, the attributes of
    /// a logical type first, and a decimal point in defaults of floats and doubles. Documentation
    /// and the order of fields, symbols and branches are kept, unlike in the Parsing Canonical
    /// Form.
    #[must_use]
    pub fn to_normalized_string(&self) -> String {
        self.print(&normalized(&self.model.nodes))
    }

    fn print(&self, nodes: &[Node]) -> String {
        // Types in `known` are never written out.
        let known = self.model.reference_roots.iter().copied().collect();
        Writer::new(nodes, Form::Full, known).write(self.root())
    }

    /// Returns the string of one node with all types written out.
    pub(crate) fn string_of(&self, id: NodeId) -> String {
        Writer::new(&self.model.nodes, Form::Full, HashSet::new()).write(id)
    }

    /// Returns the Parsing Canonical Form of the specification, with references written out.
    #[must_use]
    pub fn parsing_canonical_form(&self) -> String {
        let mut form = ParsingForm {
            nodes: &self.model.nodes,
            known: HashSet::new(),
        };
        let mut out = String::new();
        form.node(self.root(), &mut out);
        out
    }
}

/// Returns a string that is equal for two definitions of one name if Java accepts them as
/// equivalent: it has everything except documentation, aliases, defaults of enums, and whether a
/// record is an error. Other named types are printed as names.
pub(super) fn structure(nodes: &[Node], id: NodeId) -> String {
    Writer::new(nodes, Form::Structure(id), HashSet::new()).write(id)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Full,
    Structure(NodeId),
}

struct Writer<'s> {
    nodes: &'s [Node],
    form: Form,
    known: HashSet<NodeId>,
    out: String,
}

impl<'s> Writer<'s> {
    fn new(nodes: &'s [Node], form: Form, known: HashSet<NodeId>) -> Self {
        Self {
            nodes,
            form,
            known,
            out: String::new(),
        }
    }

    fn write(mut self, root: NodeId) -> String {
        self.node(root, None);
        self.out
    }

    fn node(&mut self, id: NodeId, namespace: Option<&str>) {
        let nodes = self.nodes;
        let node = &nodes[id.index()];
        match &node.kind {
            Type::Union(branches) => {
                self.out.push('[');
                self.list(branches, |writer, branch| writer.node(*branch, namespace));
                self.out.push(']');
            }
            Type::Array(item) => self.container("array", "items", *item, node, namespace),
            Type::Map(item) => self.container("map", "values", *item, node, namespace),
            Type::Record(_) | Type::Enum(_) | Type::Fixed(_) => self.named(id, node, namespace),
            _ => self.primitive(node),
        }
    }

    /// Writes a type without parameters: its name, or an object if it has attributes.
    fn primitive(&mut self, node: &Node) {
        if node.attributes.is_empty() {
            return write_string(node.kind.as_str(), &mut self.out);
        }
        self.out.push_str("{\"type\":");
        write_string(node.kind.as_str(), &mut self.out);
        self.attributes(&node.attributes);
        self.out.push('}');
    }

    /// Writes an array or map.
    fn container(
        &mut self,
        kind: &str,
        key: &str,
        item: NodeId,
        node: &Node,
        namespace: Option<&str>,
    ) {
        self.out.push_str("{\"type\":");
        write_string(kind, &mut self.out);
        self.key(key);
        self.node(item, namespace);
        self.attributes(&node.attributes);
        self.out.push('}');
    }

    fn named(&mut self, id: NodeId, node: &'s Node, namespace: Option<&str>) {
        let Some(name) = node.name() else {
            return;
        };
        let is_other = matches!(self.form, Form::Structure(root) if root != id);
        // Written out at its first use only; `insert` returns false for a known type.
        if is_other || !self.known.insert(id) {
            return write_string(name.relative_to(namespace), &mut self.out);
        }
        let is_error = matches!(&node.kind, Type::Record(record) if record.is_error);
        let kind = if is_error && self.form == Form::Full {
            "error"
        } else {
            node.kind.as_str()
        };
        self.out.push_str("{\"type\":");
        write_string(kind, &mut self.out);
        self.key("name");
        write_string(name.simple(), &mut self.out);
        // An inherited namespace is omitted; the null namespace within another is printed as "".
        if name.namespace() != namespace {
            self.key("namespace");
            write_string(name.namespace().unwrap_or_default(), &mut self.out);
        }
        let aliases = match &node.kind {
            Type::Record(record) => self.record(record),
            Type::Enum(symbols) => self.enumeration(symbols),
            Type::Fixed(fixed) => self.fixed(fixed),
            _ => return,
        };
        self.attributes(&node.attributes);
        if self.form == Form::Full && !aliases.is_empty() {
            self.key("aliases");
            self.out.push('[');
            self.list(aliases, |writer, alias| {
                write_string(alias.relative_to(name.namespace()), &mut writer.out);
            });
            self.out.push(']');
        }
        self.out.push('}');
    }

    /// Writes the fields and returns the aliases, which come after the custom attributes.
    fn record(&mut self, record: &'s Record) -> &'s [Name] {
        self.doc(record.doc.as_deref());
        self.key("fields");
        self.out.push('[');
        self.list(&record.fields, |writer, field| {
            writer.out.push_str("{\"name\":");
            write_string(&field.name, &mut writer.out);
            writer.key("type");
            writer.node(field.node, record.name.namespace());
            writer.doc(field.doc.as_deref());
            if let Some(default) = &field.default {
                writer.key("default");
                write_value(&default.json, &mut writer.out);
            }
            match field.order {
                Order::Ascending => {}
                Order::Descending => writer.out.push_str(",\"order\":\"descending\""),
                Order::Ignore => writer.out.push_str(",\"order\":\"ignore\""),
            }
            if writer.form == Form::Full && !field.aliases.is_empty() {
                writer.key("aliases");
                writer.strings(&field.aliases);
            }
            writer.attributes(&field.attributes);
            writer.out.push('}');
        });
        self.out.push(']');
        &record.aliases
    }

    fn enumeration(&mut self, symbols: &'s Enum) -> &'s [Name] {
        self.doc(symbols.doc.as_deref());
        self.key("symbols");
        self.strings(&symbols.symbols);
        if let (Form::Full, Some(default)) = (self.form, &symbols.default) {
            self.key("default");
            write_string(default, &mut self.out);
        }
        &symbols.aliases
    }

    fn fixed(&mut self, fixed: &'s Fixed) -> &'s [Name] {
        self.doc(fixed.doc.as_deref());
        self.key("size");
        self.out.push_str(&fixed.size.to_string());
        &fixed.aliases
    }

    fn doc(&mut self, doc: Option<&str>) {
        if let (Form::Full, Some(doc)) = (self.form, doc) {
            self.key("doc");
            write_string(doc, &mut self.out);
        }
    }

    fn attributes(&mut self, attributes: &[Member]) {
        for attribute in attributes {
            self.key(&attribute.key);
            write_value(&attribute.value.json, &mut self.out);
        }
    }

    fn strings(&mut self, strings: &'s [Box<str>]) {
        self.out.push('[');
        self.list(strings, |writer, string| {
            write_string(string, &mut writer.out);
        });
        self.out.push(']');
    }

    fn key(&mut self, key: &str) {
        self.out.push(',');
        write_string(key, &mut self.out);
        self.out.push(':');
    }

    fn list<T>(&mut self, items: &'s [T], mut write: impl FnMut(&mut Self, &'s T)) {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            write(self, item);
        }
    }
}

struct ParsingForm<'s> {
    nodes: &'s [Node],
    known: HashSet<NodeId>,
}

impl ParsingForm<'_> {
    fn node(&mut self, id: NodeId, out: &mut String) {
        let nodes = self.nodes;
        let node = &nodes[id.index()];
        if let Some(name) = node.name() {
            if !self.known.insert(id) {
                return write_string(name.fullname(), out);
            }
            out.push_str("{\"name\":");
            write_string(name.fullname(), out);
            out.push_str(",\"type\":");
            write_string(node.kind.as_str(), out);
        }
        match &node.kind {
            Type::Union(branches) => self.list(branches, "[", "]", out, |form, branch, out| {
                form.node(*branch, out);
            }),
            Type::Array(item) => self.container("array", "items", *item, out),
            Type::Map(item) => self.container("map", "values", *item, out),
            Type::Record(record) => {
                self.list(
                    &record.fields,
                    ",\"fields\":[",
                    "]}",
                    out,
                    |form, field, out| {
                        out.push_str("{\"name\":");
                        write_string(&field.name, out);
                        out.push_str(",\"type\":");
                        form.node(field.node, out);
                        out.push('}');
                    },
                );
            }
            Type::Enum(symbols) => {
                self.list(
                    &symbols.symbols,
                    ",\"symbols\":[",
                    "]}",
                    out,
                    |_, symbol, out| {
                        write_string(symbol, out);
                    },
                );
            }
            Type::Fixed(fixed) => out.push_str(&format!(",\"size\":{}}}", fixed.size)),
            primitive => write_string(primitive.as_str(), out),
        }
    }

    fn container(&mut self, kind: &str, key: &str, item: NodeId, out: &mut String) {
        out.push_str(&format!("{{\"type\":\"{kind}\",\"{key}\":"));
        self.node(item, out);
        out.push('}');
    }

    /// Writes a list of items between `open` and `close`.
    fn list<T>(
        &mut self,
        items: &[T],
        open: &str,
        close: &str,
        out: &mut String,
        mut write: impl FnMut(&mut Self, &T, &mut String),
    ) {
        out.push_str(open);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            write(self, item, out);
        }
        out.push_str(close);
    }
}
