//! The deserializer: a schema and the bytes of a value.

use super::names;
use crate::Schema;
use crate::codec::{Blocks, DecodeError, DecodeErrorKind, Decoder};
use crate::schema::{NodeId, Record, Type};
use ::serde::de::value::{
    BorrowedStrDeserializer, SeqDeserializer, StrDeserializer, U32Deserializer,
};
use ::serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use ::serde::forward_to_deserialize_any;
use std::fmt::Display;

/// Creates errors without an offset, which the deserializer adds. The values that serde passes for
/// a message are omitted.
impl Error for DecodeError {
    fn custom<T: Display>(message: T) -> Self {
        Self::unlocated(DecodeErrorKind::Value(message.to_string().into()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!(
            "the value has another type; expected {expected}"
        ))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::custom(format_args!(
            "the value is not in the range; expected {expected}"
        ))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!(
            "no such variant; expected one of {expected:?}"
        ))
    }
}

/// Deserializes one value of a schema.
pub(super) struct ValueDeserializer<'s, 'a, 'de> {
    schema: &'s Schema,
    node: NodeId,
    input: &'a mut Decoder<'de>,
    /// The union and the branch whose index an `Option` has read.
    selected: Option<(&'s [NodeId], usize)>,
}

impl<'s, 'a, 'de> ValueDeserializer<'s, 'a, 'de> {
    pub(super) fn new(schema: &'s Schema, input: &'a mut Decoder<'de>) -> Self {
        Self {
            schema,
            node: schema.root(),
            input,
            selected: None,
        }
    }

    fn kind(&self) -> &'s Type {
        &self.schema.node(self.node).kind
    }

    fn child(&mut self, node: NodeId) -> ValueDeserializer<'s, '_, 'de> {
        ValueDeserializer {
            schema: self.schema,
            node,
            input: self.input,
            selected: None,
        }
    }

    /// Reads the index of a branch.
    fn select(&mut self, branches: &[NodeId]) -> Result<usize, DecodeError> {
        let count = u32::try_from(branches.len()).unwrap_or(u32::MAX);
        self.input.union_index(count).map(|index| index as usize)
    }

    /// Reads the index of a branch and passes the branch to `read`.
    fn in_branch<T>(
        mut self,
        branches: &'s [NodeId],
        read: impl FnOnce(ValueDeserializer<'s, '_, 'de>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let index = self.select(branches)?;
        let branch = branches[index];
        let schema = self.schema;
        read(self.child(branch))
            .map_err(|error| error.in_branch(names::path_name(schema.node(branch))))
    }

    /// Adds the position to errors of visitors, which do not know it.
    fn located<T>(
        self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let mut this = self;
        let start = this.input.offset();
        let len = start + this.input.remaining().len();
        read(&mut this).map_err(|error| error.located(start, len))
    }

    fn symbol(&mut self, symbols: &'s [Box<str>]) -> Result<&'s str, DecodeError> {
        let count = u32::try_from(symbols.len()).unwrap_or(u32::MAX);
        let index = self.input.enum_index(count)?;
        Ok(&symbols[index as usize])
    }

    fn any<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.kind() {
            Type::Null => visitor.visit_unit(),
            Type::Boolean => visitor.visit_bool(self.input.boolean()?),
            Type::Int => visitor.visit_i32(self.input.int()?),
            Type::Long => visitor.visit_i64(self.input.long()?),
            Type::Float => visitor.visit_f32(self.input.float()?),
            Type::Double => visitor.visit_f64(self.input.double()?),
            Type::Bytes => visitor.visit_borrowed_bytes(self.input.bytes()?),
            Type::String => visitor.visit_borrowed_str(self.input.string()?),
            Type::Fixed(fixed) => visitor.visit_borrowed_bytes(self.input.fixed_slice(fixed.size)?),
            Type::Enum(symbols) => visitor.visit_str(self.symbol(&symbols.symbols)?),
            Type::Array(item) => self.blocks(*item, |items| visitor.visit_seq(items)),
            Type::Map(item) => self.blocks(*item, |entries| visitor.visit_map(entries)),
            Type::Record(record) => self.record(record, |fields| visitor.visit_map(fields)),
            Type::Union(branches) => {
                let index = self.select(branches)?;
                let branch = branches[index];
                let schema = self.schema;
                self.child(branch)
                    .deserialize_any(visitor)
                    .map_err(|error| error.in_branch(names::path_name(schema.node(branch))))
            }
        }
    }

    /// Passes the items of an array or map to a visitor, and skips those that it leaves.
    fn blocks<T>(
        &mut self,
        item: NodeId,
        visit: impl FnOnce(&mut BlockAccess<'s, '_, 'de>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let blocks = self.input.blocks()?;
        let mut access = BlockAccess {
            item: self.child(item),
            blocks: Some(blocks),
            left: 0,
            position: 0,
        };
        let value = visit(&mut access)?;
        if access.next()? {
            return Err(DecodeError::custom(
                "the array has more items than the type",
            ));
        }
        Ok(value)
    }

    fn record<T>(
        &mut self,
        record: &'s Record,
        visit: impl FnOnce(&mut FieldAccess<'s, '_, 'de>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        self.input.enter()?;
        let mut access = FieldAccess {
            record,
            field: self.child(self.node),
            next: 0,
        };
        let value = visit(&mut access)?;
        if access.next < record.fields.len() {
            return Err(DecodeError::custom(
                "the record has more fields than the type",
            ));
        }
        self.input.leave();
        Ok(value)
    }

    /// Passes items, bytes or fields in order to a visitor.
    fn sequence<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.kind() {
            Type::Record(record) => self.record(record, |fields| visitor.visit_seq(fields)),
            Type::Bytes => bytes_as_items(self.input.bytes()?, visitor),
            Type::Fixed(fixed) => bytes_as_items(self.input.fixed_slice(fixed.size)?, visitor),
            _ => self.any(visitor),
        }
    }
}

fn bytes_as_items<'de, V: Visitor<'de>>(
    bytes: &'de [u8],
    visitor: V,
) -> Result<V::Value, DecodeError> {
    let mut items = SeqDeserializer::new(bytes.iter().copied());
    let value = visitor.visit_seq(&mut items)?;
    items.end()?;
    Ok(value)
}

impl<'de> Deserializer<'de> for ValueDeserializer<'_, '_, 'de> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        self.located(|this| this.any(visitor))
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, DecodeError> {
        let Type::Union(branches) = self.kind() else {
            return match self.kind() {
                Type::Null => visitor.visit_none(),
                _ => visitor.visit_some(self),
            };
        };
        let index = self.select(branches)?;
        let branch = branches[index];
        let schema = self.schema;
        if let Type::Null = schema.node(branch).kind {
            return visitor.visit_none();
        }
        let mut value = self.child(branch);
        value.selected = Some((branches, index));
        let value = visitor.visit_some(value);
        value.map_err(|error| error.in_branch(names::path_name(schema.node(branch))))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match (self.kind(), self.selected) {
            (Type::Enum(symbols), _) => self.located(|this| {
                let symbol = this.symbol(&symbols.symbols)?;
                visitor.visit_enum(symbol.into_deserializer())
            }),
            (Type::Union(branches), _) => self.located(|this| {
                let index = this.select(branches)?;
                let branch = branches[index];
                let schema = this.schema;
                let mut value = this.child(branch);
                value.selected = Some((branches, index));
                let variant = Variant::of(value, variants, false);
                variant
                    .and_then(|variant| visitor.visit_enum(variant))
                    .map_err(|error| error.in_branch(names::path_name(schema.node(branch))))
            }),
            (Type::String, None) => self.located(|this| {
                let text = this.input.string()?;
                visitor.visit_enum(BorrowedStrDeserializer::new(text))
            }),
            (_, Some(_)) => visitor.visit_enum(Variant::of(self, variants, true)?),
            (_, None) => self.located(|_| {
                Err(DecodeError::custom(
                    "an enum is read from an enum, a union or a string",
                ))
            }),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        if let Type::Union(branches) = self.kind() {
            return self.in_branch(branches, |branch| branch.deserialize_seq(visitor));
        }
        self.located(|this| this.sequence(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct map struct identifier ignored_any
    }
}

/// The items of an array, or the entries of a map.
struct BlockAccess<'s, 'a, 'de> {
    item: ValueDeserializer<'s, 'a, 'de>,
    /// `None` after the last block.
    blocks: Option<Blocks>,
    left: usize,
    position: usize,
}

impl BlockAccess<'_, '_, '_> {
    /// Moves to the next item and returns whether there is one.
    fn next(&mut self) -> Result<bool, DecodeError> {
        while self.left == 0 {
            let Some(blocks) = &mut self.blocks else {
                return Ok(false);
            };
            match blocks.next(self.item.input)? {
                Some(count) => self.left = count,
                None => self.blocks = None,
            }
        }
        Ok(true)
    }
}

impl<'de> BlockAccess<'_, '_, 'de> {
    /// Reads the value of the current item and ends it.
    fn value<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, DecodeError> {
        self.item.input.allocate::<T::Value>(1)?;
        let value = seed.deserialize(self.item.child(self.item.node))?;
        self.left -= 1;
        self.position += 1;
        Ok(value)
    }
}

impl<'de> SeqAccess<'de> for &mut BlockAccess<'_, '_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        if !self.next()? {
            return Ok(None);
        }
        let position = self.position;
        let value = self.value(seed);
        value.map(Some).map_err(|error| error.in_item(position))
    }

    fn size_hint(&self) -> Option<usize> {
        None
    }
}

impl<'de> MapAccess<'de> for &mut BlockAccess<'_, '_, 'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        if !self.next()? {
            return Ok(None);
        }
        let position = self.position;
        self.item.input.allocate::<K::Value>(1)?;
        let key = self.item.input.string();
        let key = key.and_then(|key| seed.deserialize(BorrowedStrDeserializer::new(key)));
        key.map(Some).map_err(|error| error.in_key(position))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        let position = self.position;
        self.value(seed).map_err(|error| error.in_entry(position))
    }
}

/// The fields of a record, with their names or by position.
struct FieldAccess<'s, 'a, 'de> {
    record: &'s Record,
    field: ValueDeserializer<'s, 'a, 'de>,
    next: usize,
}

impl<'de> FieldAccess<'_, '_, 'de> {
    fn value<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, DecodeError> {
        let Some(field) = self.record.fields.get(self.next) else {
            return Err(DecodeError::custom(
                "the record has fewer fields than the type",
            ));
        };
        self.next += 1;
        seed.deserialize(self.field.child(field.node))
            .map_err(|error| error.in_field(field.name.to_string()))
    }
}

impl<'de> SeqAccess<'de> for &mut FieldAccess<'_, '_, 'de> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, DecodeError> {
        if self.next == self.record.fields.len() {
            return Ok(None);
        }
        self.value(seed).map(Some)
    }
}

impl<'de> MapAccess<'de> for &mut FieldAccess<'_, '_, 'de> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, DecodeError> {
        let Some(field) = self.record.fields.get(self.next) else {
            return Ok(None);
        };
        seed.deserialize(StrDeserializer::new(&field.name))
            .map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(
        &mut self,
        seed: V,
    ) -> Result<V::Value, DecodeError> {
        self.value(seed)
    }
}

/// A branch of a union as a variant.
struct Variant<'s, 'a, 'de> {
    index: u32,
    value: ValueDeserializer<'s, 'a, 'de>,
}

impl<'s, 'a, 'de> Variant<'s, 'a, 'de> {
    /// Finds the variant of the selected branch: by name if any variant has the name of a branch,
    /// else by position.
    fn of(
        value: ValueDeserializer<'s, 'a, 'de>,
        variants: &[&str],
        in_option: bool,
    ) -> Result<Self, DecodeError> {
        let (schema, selected) = (value.schema, value.selected);
        let (branches, index) = selected.unwrap_or((&[], 0));
        let is_named = |id: &NodeId, variant: &&str| names::is_branch(schema.node(*id), variant);
        let any_named = |variant: &&str| branches.iter().any(|id| is_named(id, variant));
        let position = if variants.iter().any(any_named) {
            let branch = schema.node(value.node);
            variants
                .iter()
                .position(|variant| names::is_branch(branch, variant))
        } else {
            names::positional(schema, branches, in_option).position(|branch| branch == index)
        };
        let index = position.and_then(|position| u32::try_from(position).ok());
        let Some(index) = index else {
            return Err(value
                .input
                .value_error("the enum has no variant for the branch"));
        };
        let value = ValueDeserializer {
            selected: None,
            ..value
        };
        Ok(Self { index, value })
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, '_, 'de> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<(T::Value, Self), DecodeError> {
        let variant = seed.deserialize(U32Deserializer::new(self.index))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_, 'de> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        ::serde::Deserialize::deserialize(self.value)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, DecodeError> {
        seed.deserialize(self.value)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, DecodeError> {
        self.value.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.value.deserialize_any(visitor)
    }
}
