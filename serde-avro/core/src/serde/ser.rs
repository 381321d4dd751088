//! The serializer: a value under a schema.
//!
//! A union is entered when the kind of the value is known: the branch is the first one that has
//! values of that kind, of the most specific type.

use super::compound::{Entries, Fields, Items, Object};
use super::names;
use crate::Schema;
use crate::codec::{EncodeError, EncodeErrorKind, Encoder};
use crate::schema::{Node, NodeId, Type};
use ::serde::ser::{self, Serialize, Serializer};
use std::fmt::Display;

impl ser::Error for EncodeError {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(EncodeErrorKind::Value(message.to_string().into()))
    }
}

/// The position that a value is serialized to.
#[derive(Clone, Copy)]
pub(super) enum Target {
    /// A type of the schema.
    Node(NodeId),
    /// A key of a map.
    Key,
    /// A byte of bytes or of a fixed.
    Byte,
}

/// Serializes one value.
pub(super) struct ValueSerializer<'s, 'o> {
    pub(super) schema: &'s Schema,
    target: Target,
    out: &'o mut Encoder,
    in_option: bool,
}

pub(super) type Outcome = Result<(), EncodeError>;

impl<'s, 'o> ValueSerializer<'s, 'o> {
    pub(super) fn new(schema: &'s Schema, out: &'o mut Encoder) -> Self {
        Self::at(schema, Target::Node(schema.root()), out)
    }

    pub(super) fn at(schema: &'s Schema, target: Target, out: &'o mut Encoder) -> Self {
        Self {
            schema,
            target,
            out,
            in_option: false,
        }
    }

    /// Returns the type, entering the branch of a union with the highest rank. `rank` returns
    /// `None` for types without such values.
    fn enter(
        &mut self,
        found: &'static str,
        rank: impl Fn(&Node) -> Option<u8>,
    ) -> Result<&'s Node, EncodeError> {
        let Target::Node(id) = self.target else {
            let expected = match self.target {
                Target::Byte => "byte",
                _ => "map key",
            };
            return Err(EncodeError::new(EncodeErrorKind::Type { expected, found }));
        };
        let schema = self.schema;
        let node = schema.node(id);
        let Type::Union(branches) = &node.kind else {
            if rank(node).is_some() {
                return Ok(node);
            }
            let expected = node.kind.as_str();
            return Err(EncodeError::new(EncodeErrorKind::Type { expected, found }));
        };
        let ranked = branches.iter().enumerate();
        let ranked = ranked.filter_map(|(at, id)| Some((rank(schema.node(*id))?, at)));
        // The first of the branches with the highest rank.
        let best = ranked.min_by_key(|(rank, at)| (u8::MAX - rank, *at));
        let Some((_, at)) = best else {
            return Err(EncodeError::new(EncodeErrorKind::UnknownBranch(found)));
        };
        self.select(branches, at);
        Ok(schema.node(branches[at]))
    }

    fn select(&mut self, branches: &[NodeId], at: usize) {
        self.out.union_index(u32::try_from(at).unwrap_or(u32::MAX));
        self.target = Target::Node(branches[at]);
    }

    /// Enters the branch of a variant.
    fn enter_variant(&mut self, index: u32, variant: &'static str) -> Outcome {
        let Target::Node(id) = self.target else {
            return Err(EncodeError::new(EncodeErrorKind::UnknownBranch(variant)));
        };
        let schema = self.schema;
        let Type::Union(branches) = &schema.node(id).kind else {
            // The variant of an enum with one branch besides null, or of no union at all.
            return Ok(());
        };
        let named = branches
            .iter()
            .position(|id| names::is_branch(schema.node(*id), variant));
        let mut by_position = names::positional(schema, branches, self.in_option);
        let at = named.or_else(|| by_position.nth(index as usize));
        drop(by_position);
        let at = at.ok_or_else(|| EncodeError::new(EncodeErrorKind::UnknownBranch(variant)))?;
        self.select(branches, at);
        Ok(())
    }

    /// Appends an integer. `prefers_long` selects the branch of a union with both types.
    fn integer(mut self, value: i128, prefers_long: bool) -> Outcome {
        if let (Target::Byte, Ok(byte)) = (self.target, u8::try_from(value)) {
            self.out.fixed(&[byte]);
            return Ok(());
        }
        let node = self.enter("integer", |node| match node.kind {
            Type::Int => Some(u8::from(!prefers_long)),
            Type::Long => Some(u8::from(prefers_long)),
            _ => None,
        })?;
        let out_of_range = || EncodeError::new(EncodeErrorKind::OutOfRange(node.kind.as_str()));
        match node.kind {
            Type::Int => self
                .out
                .int(i32::try_from(value).map_err(|_| out_of_range())?),
            _ => self
                .out
                .long(i64::try_from(value).map_err(|_| out_of_range())?),
        }
        Ok(())
    }

    pub(super) fn bytes(mut self, value: &[u8]) -> Outcome {
        let node = self.enter("bytes", |node| match &node.kind {
            Type::Bytes => Some(1),
            Type::Fixed(fixed) if fixed.size == value.len() => Some(2),
            Type::Fixed(_) => Some(0),
            _ => None,
        })?;
        let Type::Fixed(fixed) = &node.kind else {
            self.out.bytes(value);
            return Ok(());
        };
        let missing = fixed.size.checked_sub(value.len());
        match missing {
            Some(0) => {}
            // A decimal in fewer bytes is extended with its sign.
            Some(missing) if node.logical_type() == Some("decimal") => {
                let sign = value
                    .first()
                    .map_or(0, |byte| if *byte < 0x80 { 0 } else { 0xff });
                self.out.fixed(&vec![sign; missing]);
            }
            _ => {
                let (expected, found) = (fixed.size, value.len());
                return Err(EncodeError::new(EncodeErrorKind::Size { expected, found }));
            }
        }
        self.out.fixed(value);
        Ok(())
    }

    fn items(mut self, count: Option<usize>) -> Result<Items<'s, 'o>, EncodeError> {
        let node = self.enter("sequence", |node| match node.kind {
            Type::Array(_) => Some(3),
            Type::Record(_) => Some(2),
            Type::Bytes | Type::Fixed(_) => Some(1),
            _ => None,
        })?;
        Ok(match &node.kind {
            Type::Array(item) => Items::Blocks(Entries::new(self.schema, *item, self.out, count)),
            Type::Record(record) => Items::Fields(Fields::new(self.schema, record, self.out)),
            _ => Items::Bytes(self, Encoder::new()),
        })
    }

    fn fields(mut self, name: &'static str) -> Result<Object<'s, 'o>, EncodeError> {
        let node = self.enter("struct", |node| match &node.kind {
            Type::Record(record) if record.name.simple() == name => Some(2),
            Type::Record(_) => Some(1),
            Type::Map(_) => Some(0),
            _ => None,
        })?;
        Ok(match &node.kind {
            Type::Record(record) => Object::Fields(Fields::new(self.schema, record, self.out)),
            Type::Map(item) => Object::Entries(Entries::new(self.schema, *item, self.out, None)),
            _ => return Err(EncodeError::new(EncodeErrorKind::UnknownBranch("struct"))),
        })
    }
}

impl<'s, 'o> Serializer for ValueSerializer<'s, 'o> {
    type Ok = ();
    type Error = EncodeError;
    type SerializeSeq = Items<'s, 'o>;
    type SerializeTuple = Items<'s, 'o>;
    type SerializeTupleStruct = Items<'s, 'o>;
    type SerializeTupleVariant = Items<'s, 'o>;
    type SerializeMap = Object<'s, 'o>;
    type SerializeStruct = Object<'s, 'o>;
    type SerializeStructVariant = Object<'s, 'o>;

    fn serialize_bool(mut self, value: bool) -> Outcome {
        self.enter("boolean", |node| {
            matches!(node.kind, Type::Boolean).then_some(0)
        })?;
        self.out.boolean(value);
        Ok(())
    }

    fn serialize_i8(self, value: i8) -> Outcome {
        self.integer(value.into(), false)
    }

    fn serialize_i16(self, value: i16) -> Outcome {
        self.integer(value.into(), false)
    }

    fn serialize_i32(self, value: i32) -> Outcome {
        self.integer(value.into(), false)
    }

    fn serialize_i64(self, value: i64) -> Outcome {
        self.integer(value.into(), true)
    }

    fn serialize_i128(self, value: i128) -> Outcome {
        self.integer(value, true)
    }

    fn serialize_u8(self, value: u8) -> Outcome {
        self.integer(value.into(), false)
    }

    fn serialize_u16(self, value: u16) -> Outcome {
        self.integer(value.into(), false)
    }

    fn serialize_u32(self, value: u32) -> Outcome {
        self.integer(value.into(), true)
    }

    fn serialize_u64(self, value: u64) -> Outcome {
        self.integer(value.into(), true)
    }

    fn serialize_u128(self, value: u128) -> Outcome {
        // Beyond i128 it is beyond i64, too.
        self.integer(i128::try_from(value).unwrap_or(i128::MAX), true)
    }

    fn serialize_f32(mut self, value: f32) -> Outcome {
        let node = self.enter("float", |node| match node.kind {
            Type::Float => Some(1),
            Type::Double => Some(0),
            _ => None,
        })?;
        match node.kind {
            Type::Float => self.out.float(value),
            _ => self.out.double(value.into()),
        }
        Ok(())
    }

    fn serialize_f64(mut self, value: f64) -> Outcome {
        self.enter("double", |node| {
            matches!(node.kind, Type::Double).then_some(0)
        })?;
        self.out.double(value);
        Ok(())
    }

    fn serialize_char(self, value: char) -> Outcome {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(mut self, value: &str) -> Outcome {
        if let Target::Key = self.target {
            self.out.string(value);
            return Ok(());
        }
        let node = self.enter("string", |node| match &node.kind {
            Type::String => Some(1),
            Type::Enum(symbols) => symbols
                .symbols
                .iter()
                .any(|one| **one == *value)
                .then_some(0),
            _ => None,
        })?;
        match &node.kind {
            Type::Enum(symbols) => {
                let index = symbols.symbols.iter().position(|one| **one == *value);
                let index = index.and_then(|index| u32::try_from(index).ok());
                let unknown = || EncodeError::new(EncodeErrorKind::UnknownSymbol);
                self.out.enum_index(index.ok_or_else(unknown)?);
            }
            _ => self.out.string(value),
        }
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Outcome {
        self.bytes(value)
    }

    fn serialize_none(self) -> Outcome {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(mut self, value: &T) -> Outcome {
        self.in_option = true;
        value.serialize(self)
    }

    fn serialize_unit(mut self) -> Outcome {
        self.enter("null", |node| matches!(node.kind, Type::Null).then_some(0))?;
        Ok(())
    }

    fn serialize_unit_struct(mut self, _: &'static str) -> Outcome {
        self.enter("unit struct", |node| match &node.kind {
            Type::Null => Some(1),
            Type::Record(record) if record.fields.is_empty() => Some(0),
            _ => None,
        })?;
        Ok(())
    }

    fn serialize_unit_variant(
        mut self,
        _: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Outcome {
        let Target::Node(id) = self.target else {
            return self.serialize_str(variant);
        };
        let schema = self.schema;
        let has_symbol = |id: &NodeId| match &schema.node(*id).kind {
            Type::Enum(symbols) => symbols.symbols.iter().any(|one| **one == *variant),
            _ => false,
        };
        match &schema.node(id).kind {
            Type::Union(branches) if !branches.iter().any(has_symbol) => {
                self.enter_variant(index, variant)?;
                self.serialize_unit()
            }
            Type::Enum(_) if !has_symbol(&id) => {
                Err(EncodeError::new(EncodeErrorKind::UnknownSymbol))
            }
            _ => self.serialize_str(variant),
        }
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        value: &T,
    ) -> Outcome {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Outcome {
        self.enter_variant(index, variant)?;
        let schema = self.schema;
        let target = self.target;
        value.serialize(self).map_err(|error| match target {
            Target::Node(id) => error.in_branch(names::path_name(schema.node(id))),
            _ => error,
        })
    }

    fn serialize_seq(self, count: Option<usize>) -> Result<Items<'s, 'o>, EncodeError> {
        self.items(count)
    }

    fn serialize_tuple(self, count: usize) -> Result<Items<'s, 'o>, EncodeError> {
        self.items(Some(count))
    }

    fn serialize_tuple_struct(
        self,
        _: &'static str,
        count: usize,
    ) -> Result<Items<'s, 'o>, EncodeError> {
        self.items(Some(count))
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        index: u32,
        variant: &'static str,
        count: usize,
    ) -> Result<Items<'s, 'o>, EncodeError> {
        self.enter_variant(index, variant)?;
        self.items(Some(count))
    }

    fn serialize_map(mut self, count: Option<usize>) -> Result<Object<'s, 'o>, EncodeError> {
        let node = self.enter("map", |node| match node.kind {
            Type::Map(_) => Some(1),
            Type::Record(_) => Some(0),
            _ => None,
        })?;
        Ok(match &node.kind {
            Type::Record(record) => Object::Fields(Fields::new(self.schema, record, self.out)),
            Type::Map(item) => Object::Entries(Entries::new(self.schema, *item, self.out, count)),
            _ => return Err(EncodeError::new(EncodeErrorKind::UnknownBranch("map"))),
        })
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Object<'s, 'o>, EncodeError> {
        self.fields(name)
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Object<'s, 'o>, EncodeError> {
        self.enter_variant(index, variant)?;
        self.fields(variant)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
