//! The schema parser: from a JSON value to nodes.
//!
//! The parser keeps the names in scope and applies the limits. A type that is used before its
//! definition gets a placeholder, which is replaced at the end. The recursion is bounded by
//! `Limits::depth`, and every value is visited once.

mod named;
mod record;
mod resolve;

use super::hints;
use super::{
    Limits, Model, Name, Node, NodeId, Schema, Type,
    import::import,
    name::{NameError, check_simple_name},
};
use crate::json::{self, BorrowedValue, Failure, Json, Member, Path};
use crate::span::Span;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Maximum nesting of JSON values, as in Java's reader (Jackson's `StreamReadConstraints`). It
/// admits the default depth of types: a record takes three levels, the type, the list of fields and
/// a field.
const JSON_DEPTH_MAX: usize = 1_000;

/// The checks of the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checks {
    All,
    /// Those of old parsers, which checked neither the characters of names nor defaults.
    Legacy,
}

pub(super) struct Parser<'a> {
    limits: &'a Limits,
    checks: Checks,
    pub(super) nodes: Vec<Node>,
    names: HashMap<Box<str>, NodeId>,
    path: Path,
    /// Records whose definition has not ended yet.
    pub(super) open: HashSet<NodeId>,
    /// Placeholders for names that are not defined yet.
    pub(super) pending: HashMap<NodeId, Pending>,
    /// Defaults to check again when the placeholders are replaced.
    deferred: Vec<Deferred>,
    /// The positions of the fields of those defaults, by record.
    pub(super) undecided: HashMap<NodeId, BTreeSet<usize>>,
    default_steps: usize,
}

/// A use of a name before its definition.
pub(super) struct Pending {
    fullname: Box<str>,
    /// The name as written in the source.
    written: Box<str>,
    offset: usize,
    pointer: String,
}

struct Deferred {
    record: NodeId,
    field: usize,
    pointer: String,
}

type Parsed<T> = Result<T, Failure>;

impl<'a> Parser<'a> {
    pub(super) fn parse(
        source: &str,
        references: &[Schema],
        limits: &'a Limits,
        checks: Checks,
    ) -> Parsed<Schema> {
        let mut parser = Self {
            limits,
            checks,
            nodes: Vec::new(),
            names: HashMap::new(),
            path: Path::default(),
            open: HashSet::new(),
            pending: HashMap::new(),
            deferred: Vec::new(),
            undecided: HashMap::new(),
            default_steps: 0,
        };
        if source.len() > limits.source_bytes {
            let (max, bytes) = (limits.source_bytes, source.len());
            let message = format!("the schema has {bytes} bytes; the maximum is {max}");
            return parser.fail(0, message);
        }
        if source.trim_matches([' ', '\t', '\n', '\r']).is_empty() {
            return parser.fail(0, hints::empty());
        }
        let value = json::read(source, JSON_DEPTH_MAX)?;
        let mut reference_roots = Vec::new();
        // In order: the first definition of a name applies.
        for reference in references {
            let (nodes, names) = (&mut parser.nodes, &mut parser.names);
            let Some(root) = import(reference, nodes, names, limits.nodes) else {
                return parser.fail(0, parser.too_many_nodes());
            };
            let named = parser.node(root).name().is_some();
            reference_roots.extend(named.then_some(root));
        }
        // The import leaves room for the root, but the limit may be 0.
        parser.check_nodes(0)?;
        let root = parser.schema(&value, None, 0)?;
        let root = parser.resolve(root)?;
        let Self { nodes, names, .. } = parser;
        let model = Model {
            source: source.into(),
            nodes,
            root,
            root_span: value.span,
            names,
            reference_roots,
        };
        Ok(Schema {
            model: Arc::new(model),
        })
    }

    fn schema(
        &mut self,
        value: &BorrowedValue<'_>,
        namespace: Option<&str>,
        depth: usize,
    ) -> Parsed<NodeId> {
        // Checked before the recursion, which bounds the stack.
        if depth > self.limits.depth {
            let max = self.limits.depth;
            let message = format!("types nest deeper than {max} levels");
            return self.fail(value.span.start, message);
        }
        match &value.json {
            Json::String(name) => self.reference(name, namespace, value.span),
            Json::Array(branches) => self.union(branches, namespace, depth, value.span),
            Json::Object(_) => self.complex(value, namespace, depth),
            other @ (Json::Null | Json::Bool(_) | Json::Integer(_) | Json::Float(_)) => {
                let message = hints::not_a_schema(other.describe());
                self.fail(value.span.start, message)
            }
        }
    }

    /// Returns the node that a name refers to, a placeholder if it is not defined yet.
    fn reference(&mut self, name: &str, namespace: Option<&str>, span: Span) -> Parsed<NodeId> {
        if let Some(kind) = Type::primitive(name) {
            return self.push(Node::new(kind, span));
        }
        let fullname = match namespace {
            Some(namespace) if !name.contains('.') => format!("{namespace}.{name}"),
            Some(_) | None => name.to_owned(),
        };
        // Java falls back to the name without namespace, but only after the end of its definition.
        let bare = self.names.get(name).filter(|id| !self.open.contains(id));
        if let Some(id) = self.names.get(fullname.as_str()).or(bare) {
            return Ok(*id);
        }
        // A placeholder of any type; `resolve` replaces every use of it.
        let id = self.push(Node::new(Type::Null, span))?;
        let pointer = self.path.pointer();
        self.pending.insert(
            id,
            Pending {
                fullname: fullname.into(),
                written: name.into(),
                offset: span.start,
                pointer,
            },
        );
        Ok(id)
    }

    fn union(
        &mut self,
        values: &[BorrowedValue<'_>],
        namespace: Option<&str>,
        depth: usize,
        span: Span,
    ) -> Parsed<NodeId> {
        if values.len() > self.limits.branches {
            let (max, count) = (self.limits.branches, values.len());
            let message = format!("the union has {count} branches; the maximum is {max}");
            return self.fail(span.start, message);
        }
        // Added before its branches, so that ids follow the order of the source.
        let id = self.push(Node::new(Type::Union(Vec::new()), span))?;
        let mut branches = Vec::with_capacity(values.len());
        let mut seen = HashSet::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            self.path.push_index(index);
            let branch = self.schema(value, namespace, depth + 1)?;
            // A placeholder never becomes a union, because unions have no names.
            if matches!(self.node(branch).kind, Type::Union(_)) {
                let message =
                    "a union must not contain a union; list its branches in the outer one";
                return self.fail(value.span.start, message);
            }
            // Java compares by full name or type, so two arrays are equal whatever their items.
            let key = self.branch_key(branch);
            if seen.contains(&key) {
                let message = format!(
                    "duplicate branch {key}; a union has each unnamed type and each name once"
                );
                return self.fail(value.span.start, message);
            }
            seen.insert(key);
            self.path.pop();
            branches.push(branch);
        }
        self.nodes[id.index()].child_spans = values.iter().map(|value| value.span).collect();
        self.nodes[id.index()].kind = Type::Union(branches);
        Ok(id)
    }

    /// Returns the key by which branches of a union are distinct: the full name or the type.
    fn branch_key(&self, branch: NodeId) -> Cow<'static, str> {
        let node = self.node(branch);
        match (self.pending.get(&branch), node.name()) {
            (Some(pending), _) => pending.fullname.to_string().into(),
            (None, Some(name)) => name.fullname().to_owned().into(),
            (None, None) => node.kind.as_str().into(),
        }
    }

    fn complex(
        &mut self,
        value: &BorrowedValue<'_>,
        namespace: Option<&str>,
        depth: usize,
    ) -> Parsed<NodeId> {
        let Some(kind) = value.member("type").and_then(BorrowedValue::as_str) else {
            return self.fail(value.span.start, hints::untyped(value));
        };
        match kind {
            // As in Java, an error is a record that prints differently.
            "record" | "error" => self.record(value, namespace, depth, kind == "error"),
            "enum" => self.enumeration(value, namespace),
            "fixed" => self.fixed(value, namespace),
            "array" => {
                let item = self.child(value, "items", namespace, depth)?;
                self.push_complex(value, Type::Array(item), value.member("items"))
            }
            "map" => {
                let item = self.child(value, "values", namespace, depth)?;
                self.push_complex(value, Type::Map(item), value.member("values"))
            }
            // A name in an object, such as {"type": "int"} or {"type": "R"}.
            other => match Type::primitive(other) {
                Some(kind) => self.push_complex(value, kind, None),
                None => self.reference(other, namespace, value.span),
            },
        }
    }

    /// Parses the schema that is the value of a key.
    pub(super) fn child(
        &mut self,
        value: &BorrowedValue<'_>,
        key: &'static str,
        namespace: Option<&str>,
        depth: usize,
    ) -> Parsed<NodeId> {
        let Some(child) = value.member(key) else {
            let hint = hints::similar_key(value, key);
            return self.fail(
                value.span.start,
                format!("missing \"{key}\", a schema{hint}"),
            );
        };
        self.path.push_key(key);
        let id = self.schema(child, namespace, depth + 1)?;
        self.path.pop();
        Ok(id)
    }

    /// Adds a type with its attributes; `child` is the JSON value of its items or values.
    fn push_complex(
        &mut self,
        value: &BorrowedValue<'_>,
        kind: Type,
        child: Option<&BorrowedValue<'_>>,
    ) -> Parsed<NodeId> {
        self.push(Node {
            attributes: attributes(value, is_schema_key),
            child_spans: child.map(|child| child.span).into_iter().collect(),
            ..Node::new(kind, value.span)
        })
    }

    fn push(&mut self, node: Node) -> Parsed<NodeId> {
        self.check_nodes(node.span.start)?;
        let id = NodeId(u32::try_from(self.nodes.len()).expect("the number of nodes is limited"));
        self.nodes.push(node);
        Ok(id)
    }

    fn check_nodes(&self, offset: usize) -> Parsed<()> {
        if self.nodes.len() < self.limits.nodes {
            Ok(())
        } else {
            self.fail(offset, self.too_many_nodes())
        }
    }

    fn too_many_nodes(&self) -> String {
        format!("the schema has more than {} types", self.limits.nodes)
    }

    /// Checks the name of a field or symbol.
    fn check_name(&self, name: &str) -> Result<(), NameError> {
        self.check_name_bytes(name)?;
        match self.checks {
            Checks::All => check_simple_name(name),
            Checks::Legacy => Ok(()),
        }
    }

    fn name(&self, name: &str, namespace: Option<&str>) -> Result<Name, NameError> {
        match self.checks {
            Checks::All => Name::new(name, namespace),
            Checks::Legacy => Ok(Name::unchecked(name, namespace)),
        }
    }

    fn check_name_bytes(&self, name: &str) -> Result<(), NameError> {
        let (bytes, bytes_max) = (name.len(), self.limits.name_bytes);
        if bytes > bytes_max {
            return Err(NameError::TooLong { bytes, bytes_max });
        }
        Ok(())
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Returns a failure at the value of a key, or at the object if the key is missing.
    fn fail_at<T>(
        &self,
        object: &BorrowedValue<'_>,
        key: &str,
        message: impl Into<String>,
    ) -> Parsed<T> {
        let Some(value) = object.member(key) else {
            return self.fail(object.span.start, message);
        };
        Err(Failure {
            message: message.into(),
            offset: value.span.start,
            pointer: format!("{}/{key}", self.path.pointer()),
        })
    }

    /// Returns a failure at an offset of the source.
    fn fail<T>(&self, offset: usize, message: impl Into<String>) -> Parsed<T> {
        Err(Failure {
            message: message.into(),
            offset,
            pointer: self.path.pointer(),
        })
    }
}

/// Returns whether the specification defines an attribute of types.
fn is_schema_key(key: &str) -> bool {
    matches!(
        key,
        "doc"
            | "fields"
            | "items"
            | "name"
            | "namespace"
            | "size"
            | "symbols"
            | "values"
            | "type"
            | "aliases"
    )
}

/// Returns the members of an object that the specification does not define.
fn attributes(value: &BorrowedValue<'_>, is_reserved: impl Fn(&str) -> bool) -> Vec<Member> {
    let members = value.members().iter();
    members
        .filter(|member| !is_reserved(&member.key))
        .map(Member::to_owned_member)
        .collect()
}
