//! The parsed form of a schema: an arena of nodes, named as in the specification.
//!
//! A named type is one node regardless of how often it is used. So a schema, recursive or not, is a
//! graph whose size is proportional to its source.

use super::Name;
use super::value::{self, JsonValue};
use crate::json::{Member, Value};
use crate::span::Span;
use std::collections::HashMap;

/// The index of a node in the arena of its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(crate) u32);

impl NodeId {
    pub(crate) fn index(self) -> usize {
        usize::try_from(self.0).expect("indexes are created from a usize")
    }
}

/// A type of a schema, with its attributes and its position in the source.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Node {
    /// The type.
    pub kind: Type,
    pub(crate) attributes: Vec<Member>,
    /// The position of the type in the source that defines it.
    pub span: Span,
    /// The positions of the items, values, branches or field types in the same source, each a
    /// definition or a name, in the order of [`Type::children`].
    pub child_spans: Vec<Span>,
    /// True if the type comes from a referenced schema, so that its spans belong to another source.
    pub is_imported: bool,
}

/// A type (specification, sections Primitive Types and Complex Types).
#[derive(Clone, Debug)]
pub enum Type {
    /// The null type, encoded in zero bytes.
    Null,
    /// A boolean.
    Boolean,
    /// A signed 32-bit integer.
    Int,
    /// A signed 64-bit integer.
    Long,
    /// A 32-bit IEEE 754 number.
    Float,
    /// A 64-bit IEEE 754 number.
    Double,
    /// A sequence of bytes.
    Bytes,
    /// A Unicode string.
    String,
    /// An array with items of one type.
    Array(NodeId),
    /// A map from strings to values of one type.
    Map(NodeId),
    /// A union. No branch is a union, and each unnamed type and each name occurs at most once.
    Union(Vec<NodeId>),
    /// A record.
    Record(Box<Record>),
    /// An enum.
    Enum(Box<Enum>),
    /// A fixed number of bytes.
    Fixed(Box<Fixed>),
}

/// A record type.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record {
    /// The name.
    pub name: Name,
    /// The aliases.
    pub aliases: Vec<Name>,
    /// The documentation.
    pub doc: Option<Box<str>>,
    /// True if the type is declared as `error`.
    pub is_error: bool,
    /// The fields, with unique names.
    pub fields: Vec<Field>,
    /// The positions of the fields by name.
    pub(crate) positions: HashMap<Box<str>, usize>,
    /// The number of fields without a default.
    pub(crate) required: usize,
}

impl Record {
    /// Returns the position of the field with this name, from 0.
    #[must_use]
    pub fn position(&self, field: &str) -> Option<usize> {
        self.positions.get(field).copied()
    }

    /// As [`Record::position`], with a guess of the position that saves the lookup if it is right.
    pub(crate) fn position_near(&self, guess: usize, field: &str) -> Option<usize> {
        let near = self.fields.get(guess);
        match near.filter(|near| *near.name == *field) {
            Some(_) => Some(guess),
            None => self.position(field),
        }
    }
}

/// A field of a record.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Field {
    /// The name.
    pub name: Box<str>,
    /// The type.
    pub node: NodeId,
    /// The documentation.
    pub doc: Option<Box<str>>,
    pub(crate) default: Option<Value>,
    /// The sort order.
    pub order: Order,
    /// The aliases.
    pub aliases: Vec<Box<str>>,
    pub(crate) attributes: Vec<Member>,
    /// The position of the field in the source that defines it.
    pub span: Span,
}

/// The sort order of a field (specification, section Sort Order).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The order of the type; the default.
    Ascending,
    /// The reverse order of the type.
    Descending,
    /// The field is ignored.
    Ignore,
}

/// An enum type.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Enum {
    /// The name.
    pub name: Name,
    /// The aliases.
    pub aliases: Vec<Name>,
    /// The documentation.
    pub doc: Option<Box<str>>,
    /// The symbols, each once.
    pub symbols: Vec<Box<str>>,
    /// The symbol that readers use for unknown symbols.
    pub default: Option<Box<str>>,
}

/// A fixed type.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fixed {
    /// The name.
    pub name: Name,
    /// The aliases.
    pub aliases: Vec<Name>,
    /// The documentation.
    pub doc: Option<Box<str>>,
    /// The size in bytes.
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
    /// Returns the specification's name of the type, such as `record`.
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

    /// Returns the primitive type with this name.
    pub(crate) fn primitive(name: &str) -> Option<Self> {
        Some(match name {
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
        // By index, because iterators over items, branches and fields have different types.
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
