//! The serializers of arrays, maps and records.

use super::ser::{Outcome, Target, ValueSerializer};
use crate::Schema;
use crate::codec::{EncodeError, EncodeErrorKind, Encoder};
use crate::resolution::encode_default;
use crate::schema::{NodeId, Record};
use ::serde::ser::{self, Serialize};
use std::collections::BTreeMap;

/// The items of an array or the entries of a map.
pub(super) struct Entries<'s, 'o> {
    schema: &'s Schema,
    item: NodeId,
    out: &'o mut Encoder,
    /// The number of items of the block; `None` if each item is a block.
    count: Option<usize>,
    position: usize,
}

impl<'s, 'o> Entries<'s, 'o> {
    pub(super) fn new(
        schema: &'s Schema,
        item: NodeId,
        out: &'o mut Encoder,
        count: Option<usize>,
    ) -> Self {
        out.block(count.unwrap_or_default());
        Self {
            schema,
            item,
            out,
            count,
            position: 0,
        }
    }

    fn start(&mut self) {
        if self.count.is_none() {
            self.out.block(1);
        }
    }

    fn append<T: Serialize + ?Sized>(&mut self, value: &T) -> Outcome {
        self.position += 1;
        value.serialize(ValueSerializer::at(
            self.schema,
            Target::Node(self.item),
            self.out,
        ))
    }

    fn end(self) -> Outcome {
        if self.count.is_some_and(|count| count != self.position) {
            return Err(ser::Error::custom(
                "the sequence has another length than it declares",
            ));
        }
        self.out.end_blocks();
        Ok(())
    }
}

/// The fields of a record. Fields that precede their turn are kept.
pub(super) struct Fields<'s, 'o> {
    schema: &'s Schema,
    record: &'s Record,
    out: &'o mut Encoder,
    next: usize,
    kept: BTreeMap<usize, Encoder>,
    key: String,
}

impl<'s, 'o> Fields<'s, 'o> {
    pub(super) fn new(schema: &'s Schema, record: &'s Record, out: &'o mut Encoder) -> Self {
        Self {
            schema,
            record,
            out,
            next: 0,
            kept: BTreeMap::new(),
            key: String::new(),
        }
    }

    fn named<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Outcome {
        let Some(position) = self.record.position_near(self.next, name) else {
            return Err(EncodeError::new(EncodeErrorKind::UnknownField).in_field(name.to_owned()));
        };
        let target = Target::Node(self.record.fields[position].node);
        let outcome = if position == self.next {
            self.next += 1;
            value.serialize(ValueSerializer::at(self.schema, target, self.out))
        } else {
            let mut out = Encoder::new();
            let outcome = value.serialize(ValueSerializer::at(self.schema, target, &mut out));
            self.kept.insert(position, out);
            outcome
        };
        while let Some(kept) = self.kept.remove(&self.next) {
            self.out.fixed(kept.as_slice());
            self.next += 1;
        }
        outcome.map_err(|error| error.in_field(name.to_owned()))
    }

    fn positional<T: Serialize + ?Sized>(&mut self, value: &T) -> Outcome {
        let record = self.record;
        let Some(field) = record.fields.get(self.next) else {
            return Err(EncodeError::new(EncodeErrorKind::UnknownField));
        };
        self.named(&field.name, value)
    }

    /// Appends the defaults of the fields without a value.
    fn end(mut self) -> Outcome {
        while let Some(field) = self.record.fields.get(self.next) {
            match self.kept.remove(&self.next) {
                Some(kept) => self.out.fixed(kept.as_slice()),
                None => match encode_default(self.schema, field) {
                    Some(default) => self.out.fixed(&default),
                    None => {
                        let error = EncodeError::new(EncodeErrorKind::MissingField);
                        return Err(error.in_field(field.name.to_string()));
                    }
                },
            }
            self.next += 1;
        }
        Ok(())
    }
}

/// A sequence or tuple.
pub(super) enum Items<'s, 'o> {
    Blocks(Entries<'s, 'o>),
    Fields(Fields<'s, 'o>),
    /// The bytes so far, for bytes or a fixed.
    Bytes(ValueSerializer<'s, 'o>, Encoder),
}

impl Items<'_, '_> {
    fn append<T: Serialize + ?Sized>(&mut self, value: &T) -> Outcome {
        match self {
            Self::Blocks(blocks) => {
                blocks.start();
                let position = blocks.position;
                blocks
                    .append(value)
                    .map_err(|error| error.in_item(position))
            }
            Self::Fields(fields) => fields.positional(value),
            Self::Bytes(whole, bytes) => {
                value.serialize(ValueSerializer::at(whole.schema, Target::Byte, bytes))
            }
        }
    }

    fn finish(self) -> Outcome {
        match self {
            Self::Blocks(blocks) => blocks.end(),
            Self::Fields(fields) => fields.end(),
            Self::Bytes(whole, bytes) => whole.bytes(bytes.as_slice()),
        }
    }
}

/// A struct or map.
pub(super) enum Object<'s, 'o> {
    Fields(Fields<'s, 'o>),
    Entries(Entries<'s, 'o>),
}

impl Object<'_, '_> {
    fn named<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Outcome {
        match self {
            Self::Fields(fields) => fields.named(key, value),
            Self::Entries(entries) => {
                entries.start();
                entries.out.string(key);
                let position = entries.position;
                entries
                    .append(value)
                    .map_err(|error| error.in_entry(position))
            }
        }
    }

    fn finish(self) -> Outcome {
        match self {
            Self::Fields(fields) => fields.end(),
            Self::Entries(entries) => entries.end(),
        }
    }
}

/// Implements the traits of serde for sequences, which differ in the names of their methods.
macro_rules! items {
    ($($trait:ident $method:ident),*) => {
        $(
            impl ser::$trait for Items<'_, '_> {
                type Ok = ();
                type Error = EncodeError;

                fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Outcome {
                    self.append(value)
                }

                fn end(self) -> Outcome {
                    self.finish()
                }
            }
        )*
    };
}

items!(SerializeSeq serialize_element, SerializeTuple serialize_element);
items!(SerializeTupleStruct serialize_field, SerializeTupleVariant serialize_field);

/// Implements the traits of serde for structs.
macro_rules! objects {
    ($($trait:ident),*) => {
        $(
            impl ser::$trait for Object<'_, '_> {
                type Ok = ();
                type Error = EncodeError;

                fn serialize_field<T: Serialize + ?Sized>(
                    &mut self,
                    key: &'static str,
                    value: &T,
                ) -> Outcome {
                    self.named(key, value)
                }

                fn end(self) -> Outcome {
                    self.finish()
                }
            }
        )*
    };
}

objects!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Object<'_, '_> {
    type Ok = ();
    type Error = EncodeError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Outcome {
        match self {
            Self::Entries(entries) => {
                entries.start();
                let out = &mut *entries.out;
                let position = entries.position;
                key.serialize(ValueSerializer::at(entries.schema, Target::Key, out))
                    .map_err(|error| error.in_key(position))
            }
            Self::Fields(fields) => {
                let mut out = Encoder::new();
                key.serialize(ValueSerializer::at(fields.schema, Target::Key, &mut out))?;
                let key = crate::from_slice(out.as_slice());
                // The serializer of a key writes a string.
                fields.key = key.unwrap_or_default();
                Ok(())
            }
        }
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Outcome {
        match self {
            Self::Entries(entries) => {
                let position = entries.position;
                entries
                    .append(value)
                    .map_err(|error| error.in_entry(position))
            }
            Self::Fields(fields) => {
                let key = std::mem::take(&mut fields.key);
                fields.named(&key, value)
            }
        }
    }

    fn end(self) -> Outcome {
        self.finish()
    }
}
