//! What named types have in common, enums and fixed.

use super::super::{Enum, Fixed, Name, Node, NodeId, Type, hints, print};
use super::{Parsed, Parser, attributes, is_schema_word};
use crate::json::{Json, Read};
use std::collections::HashSet;

/// What a named type's definition starts with.
pub(super) struct Head {
    pub(super) name: Name,
    pub(super) doc: Option<Box<str>>,
    pub(super) aliases: Vec<Name>,
    /// The definition that has the name already, if this is a second one.
    pub(super) first: Option<NodeId>,
}

impl Parser<'_> {
    pub(super) fn enumeration(&mut self, value: &Read<'_>, space: Option<&str>) -> Parsed<NodeId> {
        let Head {
            name,
            doc,
            aliases,
            first,
        } = self.head(value, space)?;
        let Some(list) = value.member("symbols").and_then(Read::elements) else {
            let instead = hints::instead(value, "symbols");
            let why = format!("enum {name} needs \"symbols\", an array of names{instead}");
            return self.fail_at(value, "symbols", why);
        };
        if list.len() > self.limits.symbols {
            let (most, count) = (self.limits.symbols, list.len());
            let why = format!("an enum has at most {most} symbols; this one has {count}");
            return self.fail_at(value, "symbols", why);
        }
        let mut symbols = Vec::with_capacity(list.len());
        let mut seen = HashSet::with_capacity(list.len());
        self.path.push_key("symbols");
        for (index, symbol) in list.iter().enumerate() {
            self.path.push_index(index);
            let text = symbol.as_str().unwrap_or_default();
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
            self.path.pop();
            symbols.push(text.into());
        }
        self.path.pop();
        let default = value.member("default").and_then(Read::as_str);
        if let Some(missing) = default.filter(|default| !seen.contains(default)) {
            let meant = hints::meant(missing, symbols.iter().map(AsRef::as_ref));
            let why =
                format!("the default {missing:?} of enum {name} is none of its symbols{meant}");
            return self.fail_at(value, "default", why);
        }
        let kind = Enum {
            name,
            aliases,
            doc,
            symbols,
            default: default.map(Into::into),
        };
        let is_reserved = |key: &str| is_schema_word(key) || key == "default";
        let id = self.define(value, Type::Enum(Box::new(kind)), first, is_reserved)?;
        self.same_as_first(id, first, value)
    }

    pub(super) fn fixed(&mut self, value: &Read<'_>, space: Option<&str>) -> Parsed<NodeId> {
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
            let instead = hints::instead(value, "size");
            let why =
                format!("fixed {name} needs \"size\", a whole number from 0 to {most}{instead}");
            return self.fail_at(value, "size", why);
        };
        let fixed = Fixed {
            name,
            aliases,
            doc,
            size,
        };
        let id = self.define(value, Type::Fixed(Box::new(fixed)), first, is_schema_word)?;
        self.same_as_first(id, first, value)
    }

    pub(super) fn head(&mut self, value: &Read<'_>, space: Option<&str>) -> Parsed<Head> {
        let Some(text) = value.member("name").and_then(Read::as_str) else {
            let instead = hints::instead(value, "name");
            let why = format!("a record, enum or fixed needs a \"name\" that is a string{instead}");
            return self.fail_at(value, "name", why);
        };
        let space = value.member("namespace").and_then(Read::as_str).or(space);
        let name = match self.name(text, space) {
            Ok(name) if name.fullname().len() <= self.limits.name_bytes => name,
            Ok(_) => return self.fail_at(value, "name", self.name_too_long()),
            Err(why) => return self.fail_at(value, "name", format!("wrong name: {why}")),
        };
        if name.namespace().is_none() && Type::primitive(name.fullname()).is_some() {
            let why = format!("{name} is a primitive type; choose another name or a namespace");
            return self.fail_at(value, "name", why);
        }
        let mut aliases = Vec::new();
        for alias in self.alias_texts(value)? {
            match self.name(&alias, name.namespace()) {
                Ok(alias) if !aliases.contains(&alias) => aliases.push(alias),
                Ok(_) => {}
                Err(why) => return self.fail_at(value, "aliases", format!("wrong alias: {why}")),
            }
        }
        let doc = value.member("doc").and_then(Read::as_str).map(Into::into);
        let first = self.names.get(name.fullname()).copied();
        Ok(Head {
            name,
            doc,
            aliases,
            first,
        })
    }

    pub(super) fn alias_texts(&mut self, value: &Read<'_>) -> Parsed<Vec<Box<str>>> {
        const WHY: &str = "\"aliases\" is an array of strings";
        let Some(list) = value.member("aliases") else {
            return Ok(Vec::new());
        };
        let Some(elements) = list.elements() else {
            return self.fail_at(value, "aliases", WHY);
        };
        if elements.len() > self.limits.branches {
            let (most, count) = (self.limits.branches, elements.len());
            let why = format!("a name has at most {most} aliases; this one has {count}");
            return self.fail_at(value, "aliases", why);
        }
        let mut aliases: Vec<Box<str>> = Vec::new();
        self.path.push_key("aliases");
        for (index, element) in elements.iter().enumerate() {
            self.path.push_index(index);
            match element.as_str() {
                Some(text) if text.len() > self.limits.name_bytes => {
                    return self.fail(element.span.start, self.name_too_long());
                }
                Some(text) if aliases.iter().any(|known| **known == *text) => {}
                Some(text) => aliases.push(text.into()),
                None => return self.fail(element.span.start, WHY),
            }
            self.path.pop();
        }
        self.path.pop();
        Ok(aliases)
    }

    /// Adds a named type, and its name unless a first definition has it.
    pub(super) fn define(
        &mut self,
        value: &Read<'_>,
        kind: Type,
        first: Option<NodeId>,
        is_reserved: impl Fn(&str) -> bool,
    ) -> Parsed<NodeId> {
        let attributes = attributes(value, is_reserved);
        let id = self.push(Node {
            attributes,
            ..Node::new(kind, value.span)
        })?;
        if let (None, Some(name)) = (first, self.nodes[id.index()].name()) {
            self.names.insert(name.fullname().into(), id);
        }
        Ok(id)
    }

    /// A second definition counts as a reference to the first if it means the same.
    pub(super) fn same_as_first(
        &self,
        id: NodeId,
        first: Option<NodeId>,
        value: &Read<'_>,
    ) -> Parsed<NodeId> {
        let Some(first) = first else {
            return Ok(id);
        };
        let same = !self.open.contains(&first)
            && !self.mentions(id, first)
            && print::structure(&self.nodes, id) == print::structure(&self.nodes, first);
        if same {
            return Ok(first);
        }
        let name = self.branch_key(id);
        let why = format!("{name} is defined twice; refer to the first definition by its name");
        self.fail(value.span.start, why)
    }

    /// Whether a definition refers to `wanted`, not counting what the types it refers to do.
    fn mentions(&self, definition: NodeId, wanted: NodeId) -> bool {
        let mut queue: Vec<_> = self.node(definition).kind.children().collect();
        while let Some(id) = queue.pop() {
            if id == wanted {
                return true;
            }
            let node = self.node(id);
            if node.name().is_none() {
                queue.extend(node.kind.children());
            }
        }
        false
    }
}
