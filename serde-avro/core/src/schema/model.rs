//! The parsed form: an arena of nodes.
//!
//! Owns the node types, named as the specification names them. A named type is one node however
//! often it is referred to, so that a schema is a graph as large as its text, recursive or not.

use super::Name;
use crate::json::{Json, Member, Span, Value};
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
pub struct Node {
    /// The type.
    pub kind: Type,
    /// Attributes the specification gives no meaning here, `logicalType` and its own included, in
    /// the order of the text.
    pub attributes: Vec<Member>,
    /// Where its JSON value stood, in the text that defined it.
    pub span: Span,
    /// Where each type that it is made of stood, in the same text: items, values, branches or the
    /// types of fields, whether they are defined there or only named.
    pub parts: Vec<Span>,
    /// Whether it came with a referenced schema, so that its spans are of another text.
    pub imported: bool,
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
pub struct Field {
    /// Its name.
    pub name: Box<str>,
    /// Its type.
    pub node: NodeId,
    /// Its documentation.
    pub doc: Option<Box<str>>,
    /// Its default, valid for its type.
    pub default: Option<Value>,
    /// How it sorts.
    pub order: Order,
    /// Its other names.
    pub aliases: Vec<Box<str>>,
    /// Attributes the specification gives no meaning, in the order of the text.
    pub attributes: Vec<Member>,
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

impl Node {
    pub(crate) fn new(kind: Type, span: Span) -> Self {
        Self {
            kind,
            attributes: Vec::new(),
            span,
            parts: Vec::new(),
            imported: false,
        }
    }

    /// The name, if the type has one.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        match &self.kind {
            Type::Record(record) => Some(&record.name),
            Type::Enum(symbols) => Some(&symbols.name),
            Type::Fixed(fixed) => Some(&fixed.name),
            Type::Null
            | Type::Boolean
            | Type::Int
            | Type::Long
            | Type::Float
            | Type::Double
            | Type::Bytes
            | Type::String
            | Type::Array(_)
            | Type::Map(_)
            | Type::Union(_) => None,
        }
    }

    /// The `logicalType` attribute, known or not.
    #[must_use]
    pub fn logical_type(&self) -> Option<&str> {
        let attribute = self
            .attributes
            .iter()
            .find(|member| &*member.key == "logicalType")?;
        if let Json::String(name) = &attribute.value.json {
            Some(name)
        } else {
            None
        }
    }
}

impl Type {
    /// The word of the specification, such as `record`.
    #[must_use]
    pub fn word(&self) -> &'static str {
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

    /// The other names, none if the type has no name.
    pub(crate) fn aliases(&self) -> &[Name] {
        match self {
            Self::Record(record) => &record.aliases,
            Self::Enum(symbols) => &symbols.aliases,
            Self::Fixed(fixed) => &fixed.aliases,
            Self::Null
            | Self::Boolean
            | Self::Int
            | Self::Long
            | Self::Float
            | Self::Double
            | Self::Bytes
            | Self::String
            | Self::Array(_)
            | Self::Map(_)
            | Self::Union(_) => &[],
        }
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

    /// The nodes it is made of, in order.
    pub(crate) fn children(&self) -> impl DoubleEndedIterator<Item = NodeId> {
        let parts = match self {
            Self::Array(_) | Self::Map(_) => 1,
            Self::Union(branches) => branches.len(),
            Self::Record(record) => record.fields.len(),
            Self::Null
            | Self::Boolean
            | Self::Int
            | Self::Long
            | Self::Float
            | Self::Double
            | Self::Bytes
            | Self::String
            | Self::Enum(_)
            | Self::Fixed(_) => 0,
        };
        (0..parts).filter_map(|part| self.child(part))
    }

    /// The node with this number among those it is made of, from 0.
    pub(crate) fn child(&self, part: usize) -> Option<NodeId> {
        match self {
            Self::Array(item) | Self::Map(item) => (part == 0).then_some(*item),
            Self::Union(branches) => branches.get(part).copied(),
            Self::Record(record) => record.fields.get(part).map(|field| field.node),
            Self::Null
            | Self::Boolean
            | Self::Int
            | Self::Long
            | Self::Float
            | Self::Double
            | Self::Bytes
            | Self::String
            | Self::Enum(_)
            | Self::Fixed(_) => None,
        }
    }

    /// Replaces the nodes it is made of.
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
            Self::Null
            | Self::Boolean
            | Self::Int
            | Self::Long
            | Self::Float
            | Self::Double
            | Self::Bytes
            | Self::String
            | Self::Enum(_)
            | Self::Fixed(_) => {}
        }
    }
}
