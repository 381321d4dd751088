//! Enums, fixed types, and the common part of named types.

use super::super::{Enum, Fixed, Name, Node, NodeId, Type, hints, print};
use super::{Parsed, Parser, attributes, is_schema_key};
use crate::json::{BorrowedValue, Json};
use std::collections::HashSet;

/// Maximum number of aliases of one type or field. Each is compared with all others.
const ALIASES_MAX: usize = 256;

/// The attributes that named types have in common.
pub(super) struct Head {
    pub(super) name: Name,
    pub(super) doc: Option<Box<str>>,
    pub(super) aliases: Vec<Name>,
    /// The earlier definition of the same name.
    pub(super) first: Option<NodeId>,
}

impl Parser<'_> {
    pub(super) fn enumeration(
        &mut self,
        value: &BorrowedValue<'_>,
        namespace: Option<&str>,
    ) -> Parsed<NodeId> {
        let Head {
            name,
            doc,
            aliases,
            first,
        } = self.head(value, namespace)?;
        let Some(list) = value.member("symbols").and_then(BorrowedValue::elements) else {
            let hint = hints::similar_key(value, "symbols");
            let message = format!("enum {name} needs \"symbols\", an array of names{hint}");
            return self.fail_at(value, "symbols", message);
        };
        if list.len() > self.limits.symbols {
            let (max, count) = (self.limits.symbols, list.len());
            let message = format!("enum {name} has {count} symbols; the maximum is {max}");
            return self.fail_at(value, "symbols", message);
        }
        let mut symbols = Vec::with_capacity(list.len());
        let mut seen = HashSet::with_capacity(list.len());
        self.path.push_key("symbols");
        for (index, symbol) in list.iter().enumerate() {
            self.path.push_index(index);
            // A value that is not a string is rejected as an empty name.
            let text = symbol.as_str().unwrap_or_default();
            if let Err(error) = self.check_name(text) {
                let message = format!("invalid symbol of enum {name}: {error}");
                return self.fail(symbol.span.start, message);
            }
            if !seen.insert(text) {
                let message = format!("duplicate symbol {text} of enum {name}");
                return self.fail(symbol.span.start, message);
            }
            self.path.pop();
            symbols.push(text.into());
        }
        self.path.pop();
        // As in Java, a default that is not a string is ignored.
        let default = value.member("default").and_then(BorrowedValue::as_str);
        if let Some(missing) = default.filter(|default| !seen.contains(default)) {
            let hint = hints::similar_name(missing, symbols.iter().map(AsRef::as_ref));
            let message =
                format!("default {missing:?} of enum {name} is not one of its symbols{hint}");
            return self.fail_at(value, "default", message);
        }
        let kind = Enum {
            name,
            aliases,
            doc,
            symbols,
            default: default.map(Into::into),
        };
        let is_reserved = |key: &str| is_schema_key(key) || key == "default";
        let id = self.define(value, Type::Enum(Box::new(kind)), first, is_reserved)?;
        self.merge_definition(id, first, value)
    }

    pub(super) fn fixed(
        &mut self,
        value: &BorrowedValue<'_>,
        namespace: Option<&str>,
    ) -> Parsed<NodeId> {
        let Head {
            name,
            doc,
            aliases,
            first,
        } = self.head(value, namespace)?;
        let size = match value.member("size").map(|size| &size.json) {
            // Negative and huge sizes do not parse and are rejected below.
            Some(Json::Integer(digits)) => digits.parse::<usize>().ok(),
            _ => None,
        };
        let max = self.limits.fixed_bytes;
        let Some(size) = size.filter(|size| *size <= max) else {
            let hint = hints::similar_key(value, "size");
            let message = format!("fixed {name} needs \"size\", an integer from 0 to {max}{hint}");
            return self.fail_at(value, "size", message);
        };
        let fixed = Fixed {
            name,
            aliases,
            doc,
            size,
        };
        let id = self.define(value, Type::Fixed(Box::new(fixed)), first, is_schema_key)?;
        self.merge_definition(id, first, value)
    }

    /// Parses the name, aliases and documentation of a definition.
    pub(super) fn head(
        &mut self,
        value: &BorrowedValue<'_>,
        namespace: Option<&str>,
    ) -> Parsed<Head> {
        let Some(text) = value.member("name").and_then(BorrowedValue::as_str) else {
            let hint = hints::similar_key(value, "name");
            let message = format!("a record, enum or fixed needs \"name\", a string{hint}");
            return self.fail_at(value, "name", message);
        };
        let namespace = value
            .member("namespace")
            .and_then(BorrowedValue::as_str)
            .or(namespace);
        // The limit applies to the full name, which may include the enclosing namespace.
        let checked = self.name(text, namespace).and_then(|name| {
            self.check_name_bytes(name.fullname())?;
            Ok(name)
        });
        let name = match checked {
            Ok(name) => name,
            Err(error) => return self.fail_at(value, "name", format!("invalid name: {error}")),
        };
        // Such a type could not be used: its name would mean the primitive type.
        if name.namespace().is_none() && Type::primitive(name.fullname()).is_some() {
            let message = format!("{name} is a primitive type; use another name or a namespace");
            return self.fail_at(value, "name", message);
        }
        let mut aliases = Vec::new();
        // Aliases are relative to the namespace of the type itself, not to the enclosing one.
        for alias in self.alias_names(value)? {
            match self.name(&alias, name.namespace()) {
                Ok(alias) if !aliases.contains(&alias) => aliases.push(alias),
                Ok(_) => {}
                Err(error) => {
                    return self.fail_at(value, "aliases", format!("invalid alias: {error}"));
                }
            }
        }
        let doc = value
            .member("doc")
            .and_then(BorrowedValue::as_str)
            .map(Into::into);
        let first = self.names.get(name.fullname()).copied();
        Ok(Head {
            name,
            doc,
            aliases,
            first,
        })
    }

    /// Returns the distinct aliases as written in the source.
    pub(super) fn alias_names(&mut self, value: &BorrowedValue<'_>) -> Parsed<Vec<Box<str>>> {
        const MESSAGE: &str = "\"aliases\" must be an array of strings";
        let Some(list) = value.member("aliases") else {
            return Ok(Vec::new());
        };
        let Some(elements) = list.elements() else {
            return self.fail_at(value, "aliases", MESSAGE);
        };
        // Before they are compared.
        if elements.len() > ALIASES_MAX {
            let count = elements.len();
            let message = format!("{count} aliases; the maximum is {ALIASES_MAX}");
            return self.fail_at(value, "aliases", message);
        }
        let mut aliases: Vec<Box<str>> = Vec::new();
        self.path.push_key("aliases");
        for (index, element) in elements.iter().enumerate() {
            self.path.push_index(index);
            let Some(alias) = element.as_str() else {
                return self.fail(element.span.start, MESSAGE);
            };
            if let Err(error) = self.check_name_bytes(alias) {
                return self.fail(element.span.start, format!("invalid alias: {error}"));
            }
            if !aliases.iter().any(|known| **known == *alias) {
                aliases.push(alias.into());
            }
            self.path.pop();
        }
        self.path.pop();
        Ok(aliases)
    }

    /// Adds a named type, and its name if it is the first definition.
    pub(super) fn define(
        &mut self,
        value: &BorrowedValue<'_>,
        kind: Type,
        first: Option<NodeId>,
        is_reserved: impl Fn(&str) -> bool,
    ) -> Parsed<NodeId> {
        let attributes = attributes(value, is_reserved);
        let id = self.push(Node {
            attributes,
            ..Node::new(kind, value.span)
        })?;
        // The name refers to the first definition.
        if let (None, Some(name)) = (first, self.nodes[id.index()].name()) {
            self.names.insert(name.fullname().into(), id);
        }
        Ok(id)
    }

    /// Returns the first definition instead of a second one that is equivalent.
    pub(super) fn merge_definition(
        &self,
        id: NodeId,
        first: Option<NodeId>,
        value: &BorrowedValue<'_>,
    ) -> Parsed<NodeId> {
        let Some(first) = first else {
            return Ok(id);
        };
        // A second definition within the first, or one that uses it, cannot be equivalent.
        let same = !self.open.contains(&first)
            && !self.uses(id, first)
            && print::structure(&self.nodes, id) == print::structure(&self.nodes, first);
        if same {
            return Ok(first);
        }
        let name = self.branch_key(id);
        let message = format!("duplicate definition of {name}; refer to the first one by its name");
        self.fail(value.span.start, message)
    }

    /// Returns whether a definition uses `wanted`, not through other named types.
    fn uses(&self, definition: NodeId, wanted: NodeId) -> bool {
        let mut queue: Vec<_> = self.node(definition).kind.children().collect();
        while let Some(id) = queue.pop() {
            if id == wanted {
                return true;
            }
            let node = self.node(id);
            // Other named types may use `wanted`; that is no use by this definition.
            if node.name().is_none() {
                queue.extend(node.kind.children());
            }
        }
        false
    }
}
