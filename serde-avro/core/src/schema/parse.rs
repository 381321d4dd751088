//! The parser: a JSON value in, nodes out.
//!
//! Owns names in scope, the order of definition and the limits. Types that are referred to before
//! they are defined get a placeholder, replaced when the text is through. Recursion is bounded by
//! `Limits::depth`; nothing is looked at more often than the text has it.

use super::{
    Enum, Field, Fixed, Limits, Model, Name, Node, NodeId, Order, Record, Schema, Type,
    default::{self, Check, Outcome},
    import::import,
    name::check_simple_name,
    text,
};
use crate::json::{self, Json, Member, Mistake, Path, Span, Value};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

const SCHEMA_WORDS: [&str; 10] = [
    "doc",
    "fields",
    "items",
    "name",
    "namespace",
    "size",
    "symbols",
    "values",
    "type",
    "aliases",
];
const FIELD_WORDS: [&str; 6] = ["default", "doc", "name", "order", "type", "aliases"];
const TYPES: &str = "null, boolean, int, long, float, double, bytes, string, record, enum, array, \
                     map, fixed or the name of a type";
/// JSON levels that one level of types takes at most: type, list of fields, field.
const JSON_LEVELS: usize = 4;

pub(super) struct Parser<'a> {
    limits: &'a Limits,
    pub(super) nodes: Vec<Node>,
    names: HashMap<Box<str>, NodeId>,
    path: Path,
    /// Records whose fields are not all read.
    pub(super) open: HashSet<NodeId>,
    /// Placeholders of names that are not defined yet.
    pub(super) pending: HashMap<NodeId, Pending>,
    /// Defaults to look at again when the placeholders are replaced.
    deferred: Vec<Deferred>,
    default_steps: usize,
}

/// A name that was used before its definition.
pub(super) struct Pending {
    name: Box<str>,
    offset: usize,
    pointer: String,
}

struct Deferred {
    record: NodeId,
    field: usize,
    pointer: String,
}

type Parsed<T> = Result<T, Mistake>;

/// What a named type's definition starts with.
struct Head {
    name: Name,
    doc: Option<Box<str>>,
    aliases: Vec<Name>,
    /// The definition that has the name already, if this is a second one.
    first: Option<NodeId>,
}

impl<'a> Parser<'a> {
    pub(super) fn parse(text: &str, references: &[Schema], limits: &'a Limits) -> Parsed<Schema> {
        let mut parser = Self {
            limits,
            nodes: Vec::new(),
            names: HashMap::new(),
            path: Path::default(),
            open: HashSet::new(),
            pending: HashMap::new(),
            deferred: Vec::new(),
            default_steps: 0,
        };
        if text.len() > limits.text_bytes {
            return parser.fail(0, format!("a text has at most {} bytes", limits.text_bytes));
        }
        if text.trim_matches([' ', '\t', '\n', '\r']).is_empty() {
            return parser.fail(
                0,
                format!("the text is empty; a schema is {TYPES}, or a union"),
            );
        }
        let value = json::read(text, limits.depth.saturating_mul(JSON_LEVELS))?;
        let mut outside = Vec::new();
        for reference in references {
            let root = import(reference, &mut parser.nodes, &mut parser.names);
            let named = parser.node(root).name().is_some();
            outside.extend(named.then_some(root));
        }
        parser.check_nodes(0)?;
        let root = parser.schema(&value, None, 0)?;
        let root = parser.resolve(root)?;
        let Self { nodes, names, .. } = parser;
        let model = Model {
            text: text.into(),
            nodes,
            root,
            names,
            outside,
        };
        Ok(Schema {
            model: Arc::new(model),
        })
    }

    fn schema(&mut self, value: &Value, space: Option<&str>, depth: usize) -> Parsed<NodeId> {
        if depth > self.limits.depth {
            let most = self.limits.depth;
            return self.fail(value.span.start, format!("types nest at most {most} deep"));
        }
        match &value.json {
            Json::String(word) => self.reference(word, space, value.span),
            Json::Array(branches) => self.union(branches, space, depth, value.span),
            Json::Object(_) => self.complex(value, space, depth),
            other @ (Json::Null | Json::Bool(_) | Json::Integer(_) | Json::Float(_)) => {
                let found = other.describe();
                self.fail(
                    value.span.start,
                    format!("{found} is no schema; expected {TYPES}"),
                )
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
        if let Some(id) = self.names.get(full.as_str()) {
            return Ok(*id);
        }
        let id = self.push(Node::new(Type::Null, span))?;
        let pointer = self.path.pointer();
        self.pending.insert(
            id,
            Pending {
                name: full.into(),
                offset: span.start,
                pointer,
            },
        );
        Ok(id)
    }

    fn union(
        &mut self,
        values: &[Value],
        space: Option<&str>,
        depth: usize,
        span: Span,
    ) -> Parsed<NodeId> {
        if values.len() > self.limits.branches {
            let most = self.limits.branches;
            return self.fail(span.start, format!("a union has at most {most} branches"));
        }
        let id = self.push(Node::new(Type::Union(Vec::new()), span))?;
        let mut branches = Vec::with_capacity(values.len());
        let mut seen = HashSet::new();
        for (index, value) in values.iter().enumerate() {
            self.path.push_index(index);
            let branch = self.schema(value, space, depth + 1)?;
            if matches!(self.node(branch).kind, Type::Union(_)) {
                let why = "a union holds no union; list its branches in the outer one";
                return self.fail(value.span.start, why);
            }
            let key = self.branch_key(branch);
            if !seen.insert(key.clone()) {
                let why = format!("the union has {key} twice; unnamed types and names count once");
                return self.fail(value.span.start, why);
            }
            self.path.pop();
            branches.push(branch);
        }
        self.nodes[id.index()].kind = Type::Union(branches);
        Ok(id)
    }

    /// What tells branches of a union apart.
    fn branch_key(&self, branch: NodeId) -> String {
        let node = self.node(branch);
        match (self.pending.get(&branch), node.name()) {
            (Some(pending), _) => pending.name.to_string(),
            (None, Some(name)) => name.full().to_owned(),
            (None, None) => node.kind.word().to_owned(),
        }
    }

    fn complex(&mut self, value: &Value, space: Option<&str>, depth: usize) -> Parsed<NodeId> {
        let Some(word) = value.member("type").and_then(Value::text) else {
            let why = format!("a schema object needs a \"type\" that is a string: {TYPES}");
            return self.fail(value.span.start, why);
        };
        match word {
            "record" | "error" => self.record(value, space, depth, word == "error"),
            "enum" => self.enumeration(value, space),
            "fixed" => self.fixed(value, space),
            "array" => {
                let item = self.part(value, "items", space, depth)?;
                self.push_complex(value, Type::Array(item))
            }
            "map" => {
                let item = self.part(value, "values", space, depth)?;
                self.push_complex(value, Type::Map(item))
            }
            _ => match Type::primitive(word) {
                Some(kind) => self.push_complex(value, kind),
                None => self.reference(word, space, value.span),
            },
        }
    }

    fn part(
        &mut self,
        value: &Value,
        key: &str,
        space: Option<&str>,
        depth: usize,
    ) -> Parsed<NodeId> {
        let Some(part) = value.member(key) else {
            let why = format!("expected \"{key}\", the schema of what it holds");
            return self.fail(value.span.start, why);
        };
        self.path.push_key(key);
        let id = self.schema(part, space, depth + 1)?;
        self.path.pop();
        Ok(id)
    }

    fn push_complex(&mut self, value: &Value, kind: Type) -> Parsed<NodeId> {
        let attributes = attributes(value, &SCHEMA_WORDS);
        self.push(Node {
            kind,
            attributes,
            span: value.span,
        })
    }

    fn record(
        &mut self,
        value: &Value,
        space: Option<&str>,
        depth: usize,
        is_error: bool,
    ) -> Parsed<NodeId> {
        let head = self.head(value, space)?;
        let Some(list) = value.member("fields").and_then(Value::elements) else {
            let why = format!("record {} needs \"fields\", an array of fields", head.name);
            return self.fail(value.span.start, why);
        };
        if list.len() > self.limits.fields {
            let most = self.limits.fields;
            return self.fail(
                value.span.start,
                format!("a record has at most {most} fields"),
            );
        }
        let Head {
            name,
            doc,
            aliases,
            first,
        } = head;
        let space = name.space().map(str::to_owned);
        let (fields, places) = (Vec::with_capacity(list.len()), HashMap::new());
        let record = Record {
            name,
            aliases,
            doc,
            is_error,
            fields,
            places,
        };
        let id = self.define(value, Type::Record(record), first, &SCHEMA_WORDS)?;
        self.open.insert(id);
        self.path.push_key("fields");
        for (index, field) in list.iter().enumerate() {
            self.path.push_index(index);
            self.field(id, field, space.as_deref(), depth)?;
            self.path.pop();
        }
        self.path.pop();
        self.open.remove(&id);
        self.same_as_first(id, first, value)
    }

    fn field(
        &mut self,
        record: NodeId,
        value: &Value,
        space: Option<&str>,
        depth: usize,
    ) -> Parsed<()> {
        let start = value.span.start;
        let Some(name) = value.member("name").and_then(Value::text) else {
            return self.fail(start, "a field is an object with a \"name\" and a \"type\"");
        };
        if let Err(why) = self.check_name(name) {
            return self.fail(start, format!("wrong field name: {why}"));
        }
        let node = self.part(value, "type", space, depth)?;
        let aliases = self.alias_texts(value)?;
        let order = self.order(value)?;
        let default = self.default(value, name, node)?;
        let doc = value.member("doc").and_then(Value::text).map(Into::into);
        let attributes = attributes(value, &FIELD_WORDS);
        let span = value.span;
        let name: Box<str> = name.into();
        let field = Field {
            name: name.clone(),
            node,
            doc,
            default,
            order,
            aliases,
            attributes,
            span,
        };
        self.path.push_key("default");
        let pointer = self.path.pointer();
        let verdict = self.verdict(&field)?;
        self.path.pop();
        let Type::Record(owner) = &mut self.nodes[record.index()].kind else {
            return Ok(());
        };
        let place = owner.fields.len();
        let twice = owner.places.insert(name, place).is_some();
        owner.fields.push(field);
        if twice {
            return self.fail(
                start,
                "the record has this field name already; names are unique",
            );
        }
        if verdict == Outcome::Depends {
            self.deferred.push(Deferred {
                record,
                field: place,
                pointer,
            });
        }
        Ok(())
    }

    /// Whether the field's default is one of its type, as far as that is known by now.
    fn verdict(&mut self, field: &Field) -> Parsed<Outcome> {
        let Some(value) = &field.default else {
            return Ok(Outcome::Valid);
        };
        let mut check = Check {
            parser: self,
            steps: self.default_steps,
            depth: 0,
        };
        let outcome = check.value(field.node, value);
        self.default_steps = check.steps;
        match outcome {
            Ok(Outcome::Invalid) => {
                let mut given = String::new();
                json::write_value(&value.json, &mut given);
                let mut wanted = self.node(field.node).kind.word();
                if self.pending.contains_key(&field.node) {
                    wanted = "type that is defined before this field";
                }
                let why = format!(
                    "invalid default for field {}: {given} is no {wanted}",
                    field.name
                );
                self.fail(value.span.start, why)
            }
            Ok(outcome) => Ok(outcome),
            Err(why) => self.fail(value.span.start, why),
        }
    }

    fn default(&mut self, field: &Value, name: &str, node: NodeId) -> Parsed<Option<Value>> {
        let Some(value) = field.member("default") else {
            return Ok(None);
        };
        let floating = matches!(self.node(node).kind, Type::Float | Type::Double);
        let Some(text) = value.text().filter(|_| floating) else {
            return Ok(Some(value.clone()));
        };
        match default::java_double(text) {
            Some(double) => Ok(Some(Value {
                json: Json::Float(double),
                span: value.span,
            })),
            None => {
                let why = format!("invalid default for field {name}: {text:?} is no number");
                self.fail(value.span.start, why)
            }
        }
    }

    fn order(&mut self, field: &Value) -> Parsed<Order> {
        let Some(value) = field.member("order") else {
            return Ok(Order::Ascending);
        };
        match value.text().map(str::to_ascii_lowercase).as_deref() {
            Some("ascending") => Ok(Order::Ascending),
            Some("descending") => Ok(Order::Descending),
            Some("ignore") => Ok(Order::Ignore),
            Some(_) | None => {
                let why = "\"order\" is \"ascending\", \"descending\" or \"ignore\"";
                self.fail(value.span.start, why)
            }
        }
    }

    fn enumeration(&mut self, value: &Value, space: Option<&str>) -> Parsed<NodeId> {
        let Head {
            name,
            doc,
            aliases,
            first,
        } = self.head(value, space)?;
        let Some(list) = value.member("symbols").and_then(Value::elements) else {
            let why = format!("enum {name} needs \"symbols\", an array of names");
            return self.fail(value.span.start, why);
        };
        if list.len() > self.limits.symbols {
            let most = self.limits.symbols;
            return self.fail(
                value.span.start,
                format!("an enum has at most {most} symbols"),
            );
        }
        let mut symbols = Vec::with_capacity(list.len());
        let mut seen = HashSet::with_capacity(list.len());
        for symbol in list {
            let text = symbol.text().unwrap_or_default();
            if let Err(why) = self.check_name(text) {
                return self.fail(
                    symbol.span.start,
                    format!("wrong symbol of enum {name}: {why}"),
                );
            }
            if !seen.insert(text) {
                let why = format!("enum {name} has the symbol {text} twice");
                return self.fail(symbol.span.start, why);
            }
            symbols.push(text.into());
        }
        let default = value.member("default").and_then(Value::text);
        if let Some(missing) = default.filter(|default| !seen.contains(default)) {
            let why = format!("the default {missing:?} of enum {name} is none of its symbols");
            return self.fail(value.span.start, why);
        }
        let kind = Enum {
            name,
            aliases,
            doc,
            symbols,
            default: default.map(Into::into),
        };
        let words: Vec<_> = SCHEMA_WORDS.into_iter().chain(["default"]).collect();
        let id = self.define(value, Type::Enum(kind), first, &words)?;
        self.same_as_first(id, first, value)
    }

    fn fixed(&mut self, value: &Value, space: Option<&str>) -> Parsed<NodeId> {
        let Head {
            name,
            doc,
            aliases,
            first,
        } = self.head(value, space)?;
        let size = match value.member("size").map(|size| &size.json) {
            Some(Json::Integer(digits)) => digits.parse::<usize>().ok(),
            _ => None,
        };
        let most = self.limits.fixed_bytes;
        let Some(size) = size.filter(|size| *size <= most) else {
            let why = format!("fixed {name} needs \"size\", a whole number from 0 to {most}");
            return self.fail(value.span.start, why);
        };
        let fixed = Fixed {
            name,
            aliases,
            doc,
            size,
        };
        let id = self.define(value, Type::Fixed(fixed), first, &SCHEMA_WORDS)?;
        self.same_as_first(id, first, value)
    }

    fn head(&mut self, value: &Value, space: Option<&str>) -> Parsed<Head> {
        let start = value.span.start;
        let Some(text) = value.member("name").and_then(Value::text) else {
            return self.fail(
                start,
                "a record, enum or fixed needs a \"name\" that is a string",
            );
        };
        let space = value.member("namespace").and_then(Value::text).or(space);
        let name = match Name::new(text, space) {
            Ok(name) if name.full().len() <= self.limits.name_bytes => name,
            Ok(_) => return self.fail(start, self.name_too_long()),
            Err(why) => return self.fail(start, format!("wrong name: {why}")),
        };
        if name.space().is_none() && Type::primitive(name.full()).is_some() {
            let why = format!("{name} is a primitive type; choose another name or a namespace");
            return self.fail(start, why);
        }
        let mut aliases = Vec::new();
        for alias in self.alias_texts(value)? {
            match Name::new(&alias, name.space()) {
                Ok(alias) if !aliases.contains(&alias) => aliases.push(alias),
                Ok(_) => {}
                Err(why) => return self.fail(start, format!("wrong alias: {why}")),
            }
        }
        let doc = value.member("doc").and_then(Value::text).map(Into::into);
        let first = self.names.get(name.full()).copied();
        Ok(Head {
            name,
            doc,
            aliases,
            first,
        })
    }

    fn alias_texts(&mut self, value: &Value) -> Parsed<Vec<Box<str>>> {
        const WHY: &str = "\"aliases\" is an array of strings";
        let Some(list) = value.member("aliases") else {
            return Ok(Vec::new());
        };
        let Some(elements) = list.elements() else {
            return self.fail(list.span.start, WHY);
        };
        if elements.len() > self.limits.branches {
            let most = self.limits.branches;
            return self.fail(list.span.start, format!("at most {most} aliases"));
        }
        let mut aliases: Vec<Box<str>> = Vec::new();
        for element in elements {
            match element.text() {
                Some(text) if text.len() > self.limits.name_bytes => {
                    return self.fail(element.span.start, self.name_too_long());
                }
                Some(text) if aliases.iter().any(|known| **known == *text) => {}
                Some(text) => aliases.push(text.into()),
                None => return self.fail(element.span.start, WHY),
            }
        }
        Ok(aliases)
    }

    /// Adds a named type, and its name unless a first definition has it.
    fn define(
        &mut self,
        value: &Value,
        kind: Type,
        first: Option<NodeId>,
        reserved: &[&str],
    ) -> Parsed<NodeId> {
        let attributes = attributes(value, reserved);
        let id = self.push(Node {
            kind,
            attributes,
            span: value.span,
        })?;
        if let (None, Some(name)) = (first, self.nodes[id.index()].name()) {
            self.names.insert(name.full().into(), id);
        }
        Ok(id)
    }

    /// A second definition counts as a reference to the first if it means the same.
    fn same_as_first(
        &mut self,
        id: NodeId,
        first: Option<NodeId>,
        value: &Value,
    ) -> Parsed<NodeId> {
        let Some(first) = first else {
            return Ok(id);
        };
        let same = !self.open.contains(&first)
            && !self.mentions(id, first)
            && text::structure(&self.nodes, id) == text::structure(&self.nodes, first);
        if same {
            return Ok(first);
        }
        let name = self.branch_key(id);
        let why = format!("{name} is defined twice; refer to the first definition by its name");
        self.fail(value.span.start, why)
    }

    fn mentions(&self, id: NodeId, wanted: NodeId) -> bool {
        let mut queue = vec![id];
        let mut seen = HashSet::new();
        while let Some(id) = queue.pop() {
            if id == wanted {
                return true;
            }
            if seen.insert(id) {
                queue.extend(self.node(id).kind.children());
            }
        }
        false
    }

    /// Replaces the placeholders, looks again at what depended on them, and checks that
    /// following names for the first time nests no deeper than the limit.
    fn resolve(&mut self, root: NodeId) -> Parsed<NodeId> {
        let mut targets = HashMap::new();
        let mut missing: Option<&Pending> = None;
        for (id, pending) in &self.pending {
            match self.names.get(&pending.name) {
                Some(target) => {
                    targets.insert(*id, *target);
                }
                None if missing.is_none_or(|other| pending.offset < other.offset) => {
                    missing = Some(pending);
                }
                None => {}
            }
        }
        if let Some(Pending {
            name,
            offset,
            pointer,
        }) = missing
        {
            let message = format!("\"{name}\" is not defined; expected {TYPES}");
            return Err(Mistake {
                message,
                offset: *offset,
                pointer: pointer.clone(),
            });
        }
        let target = |id: NodeId| targets.get(&id).copied().unwrap_or(id);
        self.nodes
            .iter_mut()
            .for_each(|node| node.kind.map_children(target));
        self.pending.clear();
        for Deferred {
            record,
            field,
            pointer,
        } in std::mem::take(&mut self.deferred)
        {
            let Type::Record(owner) = &self.node(record).kind else {
                continue;
            };
            let Some(field) = owner.fields.get(field).cloned() else {
                continue;
            };
            self.verdict(&field)
                .map_err(|mistake| Mistake { pointer, ..mistake })?;
        }
        let root = target(root);
        self.check_depth(root)?;
        Ok(root)
    }

    fn check_depth(&self, root: NodeId) -> Parsed<()> {
        let mut queue = vec![(root, 0)];
        let mut seen = HashSet::new();
        while let Some((id, depth)) = queue.pop() {
            if depth > self.limits.depth {
                let most = self.limits.depth;
                return self.fail(0, format!("types nest at most {most} deep, names followed"));
            }
            let node = self.node(id);
            if node.name().is_none() || seen.insert(id) {
                queue.extend(
                    node.kind
                        .children()
                        .into_iter()
                        .rev()
                        .map(|id| (id, depth + 1)),
                );
            }
        }
        Ok(())
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
            self.fail(offset, format!("a schema has at most {most} types"))
        }
    }

    fn check_name(&self, name: &str) -> Result<(), String> {
        if name.len() > self.limits.name_bytes {
            Err(self.name_too_long())
        } else {
            check_simple_name(name)
        }
    }

    fn name_too_long(&self) -> String {
        format!("a name has at most {} bytes", self.limits.name_bytes)
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    fn fail<T>(&self, offset: usize, message: impl Into<String>) -> Parsed<T> {
        Err(Mistake {
            message: message.into(),
            offset,
            pointer: self.path.pointer(),
        })
    }
}

fn attributes(value: &Value, reserved: &[&str]) -> Vec<Member> {
    let kept = value
        .members()
        .iter()
        .filter(|member| !reserved.contains(&&*member.key));
    kept.cloned().collect()
}
