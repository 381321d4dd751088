//! The parsed form: an arena of nodes.
//!
//! Owns the node types, named as the specification names them. A named type is one node however
//! often it is referred to, so that a schema is a graph as large as its text, recursive or not.

use super::Name;
use super::value::{self, JsonValue};
use crate::json::{Member, Value};
use crate::span::Span;
use std::collections::HashMap;

/// A node of one schema's arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    pub(crate) fn index(self) -> usize {
        usize::try_from(self.0).expect("a node index was a usize before")
    }
}

/// A type as it stands in the text.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Node {
    /// The type.
    pub kind: Type,
    /// Attributes the specification gives no meaning here, `logicalType` and its own included, in
    /// the order of the text.
    pub(crate) attributes: Vec<Member>,
    /// Where its JSON value stood, in the text that defined it.
    pub span: Span,
    /// Where each type that it is made of stood, in the same text: items, values, branches or the
    /// types of fields, whether they are defined there or only named.
    pub child_spans: Vec<Span>,
    /// Whether it came with a referenced schema, so that its spans are of another text.
    pub is_imported: bool,
}

/// The types of the specification ("Primitive Types", "Complex Types").
#[derive(Clone, Debug)]
pub enum Type {
    /// No value; takes no bytes.
    Null,
    /// True or false.
    Boolean,
    /// A whole number of 32 bits, with sign.
    Int,
    /// A whole number of 64 bits, with sign.
    Long,
    /// An IEEE 754 number of 32 bits.
    Float,
    /// An IEEE 754 number of 64 bits.
    Double,
    /// Any bytes.
    Bytes,
    /// Unicode text.
    String,
    /// Any number of items of one type.
    Array(NodeId),
    /// Any number of values of one type, each with a string as its key.
    Map(NodeId),
    /// A value of one of the branches, of which none is a union and no two are alike: each unnamed
    /// type comes once, each name once.
    Union(Vec<NodeId>),
    /// A value of each field, in order.
    Record(Box<Record>),
    /// One of some symbols.
    Enum(Box<Enum>),
    /// So many bytes.
    Fixed(Box<Fixed>),
}

/// A record.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record {
    /// Its name.
    pub name: Name,
    /// Its other names.
    pub aliases: Vec<Name>,
    /// Its documentation.
    pub doc: Option<Box<str>>,
    /// Whether it was declared as `error`.
    pub is_error: bool,
    /// Its fields in order, their names unique.
    pub fields: Vec<Field>,
    pub(crate) places: HashMap<Box<str>, usize>,
    /// How many fields have no default.
    pub(crate) required: usize,
}

impl Record {
    /// The place of the field with this name.
    #[must_use]
    pub fn position(&self, field: &str) -> Option<usize> {
        self.places.get(field).copied()
    }

    /// As [`Record::position`], but quicker if it is the place where the other record has it.
    pub(crate) fn position_near(&self, place: usize, field: &str) -> Option<usize> {
        let near = self.fields.get(place);
        match near.filter(|near| *near.name == *field) {
            Some(_) => Some(place),
            None => self.position(field),
        }
    }
}

/// A field of a record.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Field {
    /// Its name.
    pub name: Box<str>,
    /// Its type.
    pub node: NodeId,
    /// Its documentation.
    pub doc: Option<Box<str>>,
    /// Its default, valid for its type.
    pub(crate) default: Option<Value>,
    /// How it sorts.
    pub order: Order,
    /// Its other names.
    pub aliases: Vec<Box<str>>,
    /// Attributes the specification gives no meaning, in the order of the text.
    pub(crate) attributes: Vec<Member>,
    /// Where its JSON object stood, in the text that defined it.
    pub span: Span,
}

/// How a field sorts ("Sort Order").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As its type does; the default.
    Ascending,
    /// The other way.
    Descending,
    /// It does not count.
    Ignore,
}

/// An enum.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Enum {
    /// Its name.
    pub name: Name,
    /// Its other names.
    pub aliases: Vec<Name>,
    /// Its documentation.
    pub doc: Option<Box<str>>,
    /// Its symbols in order, each once.
    pub symbols: Vec<Box<str>>,
    /// The symbol that readers take for one they don't know.
    pub default: Option<Box<str>>,
}

/// A fixed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fixed {
    /// Its name.
    pub name: Name,
    /// Its other names.
    pub aliases: Vec<Name>,
    /// Its documentation.
    pub doc: Option<Box<str>>,
    /// Its size in bytes.
    pub size: usize,
}

/// The attributes that records, enums and fixed have in common.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Named<'s> {
    /// The full name.
    pub name: &'s Name,
    /// The aliases, as full names.
    pub aliases: &'s [Name],
    /// The documentation.
    pub doc: Option<&'s str>,
}

impl Node {
    pub(crate) fn new(kind: Type, span: Span) -> Self {
        Self {
            kind,
            attributes: Vec::new(),
            span,
            child_spans: Vec::new(),
            is_imported: false,
        }
    }

    /// Returns the name of a record, enum or fixed.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.kind.named().map(|named| named.name)
    }

    /// Returns the attributes to which the specification gives no meaning here, with their keys, in
    /// the order of the source. `logicalType` and its parameters are among them.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, JsonValue<'_>)> {
        value::iter(&self.attributes)
    }

    /// Returns the attribute with this key, among [`Node::attributes`].
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<JsonValue<'_>> {
        value::find(&self.attributes, key)
    }

    /// Returns the `logicalType` attribute, whether or not the specification defines it.
    #[must_use]
    pub fn logical_type(&self) -> Option<&str> {
        self.attribute("logicalType")?.as_str()
    }
}

impl Field {
    /// Returns the default value.
    #[must_use]
    pub fn default(&self) -> Option<JsonValue<'_>> {
        self.default.as_ref().map(JsonValue::new)
    }

    /// Returns the attributes to which the specification gives no meaning, with their keys, in the
    /// order of the source.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, JsonValue<'_>)> {
        value::iter(&self.attributes)
    }

    /// Returns the attribute with this key, among [`Field::attributes`].
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<JsonValue<'_>> {
        value::find(&self.attributes, key)
    }
}

impl Type {
    /// The word of the specification, such as `record`.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Record(_) => "record",
            Self::Enum(_) => "enum",
            Self::Fixed(_) => "fixed",
        }
    }

    /// Returns what a record, enum or fixed has in common with the other named types.
    #[must_use]
    pub fn named(&self) -> Option<Named<'_>> {
        let (name, aliases, doc) = match self {
            Self::Record(record) => (&record.name, &record.aliases, &record.doc),
            Self::Enum(symbols) => (&symbols.name, &symbols.aliases, &symbols.doc),
            Self::Fixed(fixed) => (&fixed.name, &fixed.aliases, &fixed.doc),
            _ => return None,
        };
        Some(Named {
            name,
            aliases,
            doc: doc.as_deref(),
        })
    }

    /// Returns the aliases and the documentation of a named type.
    pub(crate) fn named_mut(&mut self) -> Option<(&mut Vec<Name>, &mut Option<Box<str>>)> {
        match self {
            Self::Record(record) => Some((&mut record.aliases, &mut record.doc)),
            Self::Enum(symbols) => Some((&mut symbols.aliases, &mut symbols.doc)),
            Self::Fixed(fixed) => Some((&mut fixed.aliases, &mut fixed.doc)),
            _ => None,
        }
    }

    /// Returns the aliases, an empty slice for a type without a name.
    pub(crate) fn aliases(&self) -> &[Name] {
        self.named().map_or(&[], |named| named.aliases)
    }

    /// The primitive type of a word.
    pub(crate) fn primitive(word: &str) -> Option<Self> {
        Some(match word {
            "null" => Self::Null,
            "boolean" => Self::Boolean,
            "int" => Self::Int,
            "long" => Self::Long,
            "float" => Self::Float,
            "double" => Self::Double,
            "bytes" => Self::Bytes,
            "string" => Self::String,
            _ => return None,
        })
    }

    /// Returns the nodes of the items, values, branches or fields, in order.
    pub fn children(&self) -> impl DoubleEndedIterator<Item = NodeId> {
        let count = match self {
            Self::Array(_) | Self::Map(_) => 1,
            Self::Union(branches) => branches.len(),
            Self::Record(record) => record.fields.len(),
            _ => 0,
        };
        (0..count).filter_map(|index| self.child(index))
    }

    /// Returns the child at `index`, counted from 0 in the order of [`Type::children`].
    pub(crate) fn child(&self, index: usize) -> Option<NodeId> {
        match self {
            Self::Array(item) | Self::Map(item) => (index == 0).then_some(*item),
            Self::Union(branches) => branches.get(index).copied(),
            Self::Record(record) => record.fields.get(index).map(|field| field.node),
            _ => None,
        }
    }

    /// Replaces each child by what `map` returns for it.
    pub(crate) fn map_children(&mut self, mut map: impl FnMut(NodeId) -> NodeId) {
        match self {
            Self::Array(item) | Self::Map(item) => *item = map(*item),
            Self::Union(branches) => branches
                .iter_mut()
                .for_each(|branch| *branch = map(*branch)),
            Self::Record(record) => {
                record
                    .fields
                    .iter_mut()
                    .for_each(|field| field.node = map(field.node));
            }
            _ => {}
        }
    }
}
