//! The parser: a JSON value in, nodes out.
//!
//! Owns names in scope, the order of definition and the limits. Types that are referred to before
//! they are defined get a placeholder, replaced when the text is through. Recursion is bounded by
//! `Limits::depth`; nothing is looked at more often than the text has it.

mod named;
mod record;
mod resolve;

use super::hints;
use super::{
    Limits, Model, Name, Node, NodeId, Schema, Type, import::import, name::check_simple_name,
};
use crate::json::{self, Json, Member, Mistake, Path, Read};
use crate::span::Span;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// JSON levels that one level of types takes at most: type, list of fields, field.
const JSON_LEVELS: usize = 4;

/// What of a text is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checks {
    All,
    /// What parsers took that looked at neither the characters of names nor the values of defaults.
    AllButNamesAndDefaults,
}

pub(super) struct Parser<'a> {
    limits: &'a Limits,
    checks: Checks,
    pub(super) nodes: Vec<Node>,
    names: HashMap<Box<str>, NodeId>,
    path: Path,
    /// Records whose fields are not all read.
    pub(super) open: HashSet<NodeId>,
    /// Placeholders of names that are not defined yet.
    pub(super) pending: HashMap<NodeId, Pending>,
    /// Defaults to look at again when the placeholders are replaced.
    deferred: Vec<Deferred>,
    /// The fields of those defaults, by record.
    pub(super) unsettled: HashMap<NodeId, BTreeSet<usize>>,
    default_steps: usize,
}

/// A name that was used before its definition.
pub(super) struct Pending {
    name: Box<str>,
    /// The name as the text has it.
    word: Box<str>,
    offset: usize,
    pointer: String,
}

struct Deferred {
    record: NodeId,
    field: usize,
    pointer: String,
}

type Parsed<T> = Result<T, Mistake>;

impl<'a> Parser<'a> {
    pub(super) fn parse(
        text: &str,
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
            unsettled: HashMap::new(),
            default_steps: 0,
        };
        if text.len() > limits.source_bytes {
            let (most, bytes) = (limits.source_bytes, text.len());
            let why = format!("a text has at most {most} bytes; this one has {bytes}");
            return parser.fail(0, why);
        }
        if text.trim_matches([' ', '\t', '\n', '\r']).is_empty() {
            return parser.fail(0, hints::empty());
        }
        let value = json::read(text, limits.depth.saturating_mul(JSON_LEVELS))?;
        let mut outside = Vec::new();
        for reference in references {
            let (nodes, names) = (&mut parser.nodes, &mut parser.names);
            let Some(root) = import(reference, nodes, names, limits.nodes) else {
                return parser.fail(0, parser.too_many_nodes());
            };
            let named = parser.node(root).name().is_some();
            outside.extend(named.then_some(root));
        }
        parser.check_nodes(0)?;
        let root = parser.schema(&value, None, 0)?;
        let root = parser.resolve(root)?;
        let Self { nodes, names, .. } = parser;
        let model = Model {
            source: text.into(),
            nodes,
            root,
            root_span: value.span,
            names,
            outside,
        };
        Ok(Schema {
            model: Arc::new(model),
        })
    }

    fn schema(&mut self, value: &Read<'_>, space: Option<&str>, depth: usize) -> Parsed<NodeId> {
        if depth > self.limits.depth {
            let most = self.limits.depth;
            return self.fail(value.span.start, format!("types nest at most {most} deep"));
        }
        match &value.json {
            Json::String(word) => self.reference(word, space, value.span),
            Json::Array(branches) => self.union(branches, space, depth, value.span),
            Json::Object(_) => self.complex(value, space, depth),
            other @ (Json::Null | Json::Bool(_) | Json::Integer(_) | Json::Float(_)) => {
                let why = hints::no_schema(other.describe());
                self.fail(value.span.start, why)
            }
        }
    }

    fn reference(&mut self, word: &str, space: Option<&str>, span: Span) -> Parsed<NodeId> {
        if let Some(kind) = Type::primitive(word) {
            return self.push(Node::new(kind, span));
        }
        let full = match space {
            Some(space) if !word.contains('.') => format!("{space}.{word}"),
            Some(_) | None => word.to_owned(),
        };
        // Java falls back to a name without namespace, if its definition is complete.
        let bare = self.names.get(word).filter(|id| !self.open.contains(id));
        if let Some(id) = self.names.get(full.as_str()).or(bare) {
            return Ok(*id);
        }
        let id = self.push(Node::new(Type::Null, span))?;
        let pointer = self.path.pointer();
        self.pending.insert(
            id,
            Pending {
                name: full.into(),
                word: word.into(),
                offset: span.start,
                pointer,
            },
        );
        Ok(id)
    }

    fn union(
        &mut self,
        values: &[Read<'_>],
        space: Option<&str>,
        depth: usize,
        span: Span,
    ) -> Parsed<NodeId> {
        if values.len() > self.limits.branches {
            let (most, count) = (self.limits.branches, values.len());
            let why = format!("a union has at most {most} branches; this one has {count}");
            return self.fail(span.start, why);
        }
        let id = self.push(Node::new(Type::Union(Vec::new()), span))?;
        let mut branches = Vec::with_capacity(values.len());
        let mut seen = HashSet::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            self.path.push_index(index);
            let branch = self.schema(value, space, depth + 1)?;
            if matches!(self.node(branch).kind, Type::Union(_)) {
                let why = "a union holds no union; list its branches in the outer one";
                return self.fail(value.span.start, why);
            }
            let key = self.branch_key(branch);
            if seen.contains(&key) {
                let why = format!("the union has {key} twice; unnamed types and names count once");
                return self.fail(value.span.start, why);
            }
            seen.insert(key);
            self.path.pop();
            branches.push(branch);
        }
        self.nodes[id.index()].child_spans = values.iter().map(|value| value.span).collect();
        self.nodes[id.index()].kind = Type::Union(branches);
        Ok(id)
    }

    /// What tells branches of a union apart.
    fn branch_key(&self, branch: NodeId) -> Cow<'static, str> {
        let node = self.node(branch);
        match (self.pending.get(&branch), node.name()) {
            (Some(pending), _) => pending.name.to_string().into(),
            (None, Some(name)) => name.fullname().to_owned().into(),
            (None, None) => node.kind.as_str().into(),
        }
    }

    fn complex(&mut self, value: &Read<'_>, space: Option<&str>, depth: usize) -> Parsed<NodeId> {
        let Some(word) = value.member("type").and_then(Read::as_str) else {
            return self.fail(value.span.start, hints::untyped(value));
        };
        match word {
            "record" | "error" => self.record(value, space, depth, word == "error"),
            "enum" => self.enumeration(value, space),
            "fixed" => self.fixed(value, space),
            "array" => {
                let item = self.part(value, "items", space, depth)?;
                self.push_complex(value, Type::Array(item), value.member("items"))
            }
            "map" => {
                let item = self.part(value, "values", space, depth)?;
                self.push_complex(value, Type::Map(item), value.member("values"))
            }
            _ => match Type::primitive(word) {
                Some(kind) => self.push_complex(value, kind, None),
                None => self.reference(word, space, value.span),
            },
        }
    }

    fn part(
        &mut self,
        value: &Read<'_>,
        key: &'static str,
        space: Option<&str>,
        depth: usize,
    ) -> Parsed<NodeId> {
        let Some(part) = value.member(key) else {
            let instead = hints::instead(value, key);
            let why = format!("expected \"{key}\", the schema of what it holds{instead}");
            return self.fail(value.span.start, why);
        };
        self.path.push_key(key);
        let id = self.schema(part, space, depth + 1)?;
        self.path.pop();
        Ok(id)
    }

    /// A type that may have attributes, and the JSON value of what it is made of.
    fn push_complex(
        &mut self,
        value: &Read<'_>,
        kind: Type,
        part: Option<&Read<'_>>,
    ) -> Parsed<NodeId> {
        self.push(Node {
            attributes: attributes(value, is_schema_word),
            child_spans: part.map(|part| part.span).into_iter().collect(),
            ..Node::new(kind, value.span)
        })
    }

    fn push(&mut self, node: Node) -> Parsed<NodeId> {
        self.check_nodes(node.span.start)?;
        let id = NodeId(u32::try_from(self.nodes.len()).expect("nodes are limited"));
        self.nodes.push(node);
        Ok(id)
    }

    fn check_nodes(&self, offset: usize) -> Parsed<()> {
        let most = self.limits.nodes;
        if self.nodes.len() < most {
            Ok(())
        } else {
            self.fail(offset, self.too_many_nodes())
        }
    }

    fn too_many_nodes(&self) -> String {
        format!("a schema has at most {} types", self.limits.nodes)
    }

    fn check_name(&self, name: &str) -> Result<(), String> {
        if name.len() > self.limits.name_bytes {
            return Err(self.name_too_long());
        }
        match self.checks {
            Checks::All => check_simple_name(name),
            Checks::AllButNamesAndDefaults => Ok(()),
        }
    }

    fn name(&self, name: &str, space: Option<&str>) -> Result<Name, String> {
        match self.checks {
            Checks::All => Name::new(name, space),
            Checks::AllButNamesAndDefaults => Ok(Name::unchecked(name, space)),
        }
    }

    fn name_too_long(&self) -> String {
        format!("a name has at most {} bytes", self.limits.name_bytes)
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Fails at the value of a key, or at the object that lacks it.
    fn fail_at<T>(&self, object: &Read<'_>, key: &str, message: impl Into<String>) -> Parsed<T> {
        let Some(value) = object.member(key) else {
            return self.fail(object.span.start, message);
        };
        Err(Mistake {
            message: message.into(),
            offset: value.span.start,
            pointer: format!("{}/{key}", self.path.pointer()),
        })
    }

    fn fail<T>(&self, offset: usize, message: impl Into<String>) -> Parsed<T> {
        Err(Mistake {
            message: message.into(),
            offset,
            pointer: self.path.pointer(),
        })
    }
}

/// Attributes of types to which the specification gives a meaning.
fn is_schema_word(key: &str) -> bool {
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

fn attributes(value: &Read<'_>, is_reserved: impl Fn(&str) -> bool) -> Vec<Member> {
    let members = value.members().iter();
    members
        .filter(|member| !is_reserved(&member.key))
        .map(Member::kept)
        .collect()
}
