//! The items that are generated, before they are Rust: names are final, types are resolved, and
//! recursion is boxed.

mod collect;
mod logical;
mod recursion;
mod types;

use std::collections::BTreeSet;

pub(crate) use collect::collect;
pub(crate) use logical::Logical;
pub(crate) use types::build;

/// The index of an item in its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ItemId(pub(crate) usize);

/// All items.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) items: Vec<Item>,
}

/// A Rust type to generate.
#[derive(Debug)]
pub(crate) struct Item {
    /// The Rust names of the modules from the root of the output.
    pub(crate) module: Vec<String>,
    pub(crate) name: String,
    /// Lines, escaped for rustdoc; at the minimum one.
    pub(crate) docs: Vec<String>,
    /// The schema, absent for a union within a record, which has no schema of its own.
    pub(crate) schema: Option<SchemaText>,
    pub(crate) kind: Kind,
    /// The name of the variant that borrows strings and bytes, if it is generated.
    pub(crate) borrowed: Option<String>,
}

/// The constants of a type.
#[derive(Debug)]
pub(crate) struct SchemaText {
    /// The full name; for a schema without a name the one of its file.
    pub(crate) full_name: String,
    /// Self-contained JSON, with documentation, aliases and defaults.
    pub(crate) json: String,
    /// CRC-64-AVRO of the Parsing Canonical Form.
    pub(crate) fingerprint: u64,
    /// The folder of a file that is named by its version: `payments-value` of
    /// `payments-value/2.avsc`.
    pub(crate) subject: Option<String>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Record(Record),
    Enum(Enum),
    /// A fixed of this many bytes.
    Fixed(usize),
    Union(Union),
    /// The root of a schema without a name.
    Wrapper(Type),
}

#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) fields: Vec<Field>,
    /// The name reserved for the type with the required fields, present if a field has a default.
    pub(crate) builder: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) avro_name: String,
    pub(crate) docs: Vec<String>,
    pub(crate) ty: Type,
    pub(crate) default: Option<serde_json::Value>,
}

#[derive(Debug)]
pub(crate) struct Enum {
    /// Rust name and symbol, in the order of the schema.
    pub(crate) variants: Vec<(String, String)>,
    /// The position of the symbol that replaces unknown ones.
    pub(crate) default: Option<usize>,
}

/// A union with several branches other than null.
#[derive(Debug)]
pub(crate) struct Union {
    pub(crate) branches: Vec<Branch>,
    /// The number of branches of the schema, with null.
    pub(crate) count: usize,
}

#[derive(Debug)]
pub(crate) struct Branch {
    /// The position in the schema.
    pub(crate) index: usize,
    pub(crate) name: String,
    /// The name in Avro: the full name, or that of the unnamed type.
    pub(crate) label: String,
    pub(crate) ty: Type,
}

/// The type of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Logical(Logical),
    Array(Box<Self>),
    Map(Box<Self>),
    /// A union of one branch, which is its value with an index of 0.
    Single(Box<Self>),
    Option(Box<Nullable>),
    Item(ItemId),
    Boxed(ItemId),
    /// A type of the user, with its own codec.
    External(String),
}

/// A union with null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nullable {
    /// The number of branches.
    pub(crate) count: usize,
    /// The position of null.
    pub(crate) null: usize,
    /// The position of the other branch; `None` if there are several, which are then an item.
    pub(crate) some: Option<usize>,
    pub(crate) inner: Type,
}

impl Type {
    /// Calls `visit` for this type and the types in it.
    pub(crate) fn walk<'t>(&'t self, visit: &mut impl FnMut(&'t Self)) {
        visit(self);
        match self {
            Self::Array(inner) | Self::Map(inner) | Self::Single(inner) => inner.walk(visit),
            Self::Option(nullable) => nullable.inner.walk(visit),
            _ => {}
        }
    }

    /// Returns the item that a value contains without indirection.
    pub(crate) fn held(&self) -> Option<ItemId> {
        match self {
            Self::Item(id) => Some(*id),
            Self::Single(inner) => inner.held(),
            Self::Option(nullable) => nullable.inner.held(),
            _ => None,
        }
    }

    /// Puts the item that a value contains into a box.
    fn put_in_box(&mut self) {
        match self {
            Self::Item(id) => *self = Self::Boxed(*id),
            Self::Single(inner) => inner.put_in_box(),
            Self::Option(nullable) => nullable.inner.put_in_box(),
            _ => {}
        }
    }
}

impl Item {
    /// Returns the types of fields and branches.
    pub(crate) fn types(&self) -> Vec<&Type> {
        match &self.kind {
            Kind::Record(record) => record.fields.iter().map(|field| &field.ty).collect(),
            Kind::Union(union) => union.branches.iter().map(|branch| &branch.ty).collect(),
            Kind::Wrapper(ty) => vec![ty],
            Kind::Enum(_) | Kind::Fixed(_) => Vec::new(),
        }
    }

    fn type_mut(&mut self, at: usize) -> Option<&mut Type> {
        match &mut self.kind {
            Kind::Record(record) => record.fields.get_mut(at).map(|field| &mut field.ty),
            Kind::Union(union) => union.branches.get_mut(at).map(|branch| &mut branch.ty),
            Kind::Wrapper(ty) => Some(ty),
            Kind::Enum(_) | Kind::Fixed(_) => None,
        }
    }
}

impl Model {
    /// Returns the items that satisfy `has` or contain one that does, at any depth.
    pub(crate) fn containing(&self, has: impl Fn(&Type) -> bool) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        loop {
            let before = found.len();
            for (at, item) in self.items.iter().enumerate() {
                let mut is_found = false;
                for ty in item.types() {
                    ty.walk(&mut |ty| {
                        is_found |= match ty {
                            Type::Item(id) | Type::Boxed(id) => found.contains(&id.0),
                            other => has(other),
                        };
                    });
                }
                if is_found {
                    found.insert(at);
                }
            }
            // A type can contain one that is defined later, so one pass is not enough.
            if found.len() == before {
                return found;
            }
        }
    }
}
