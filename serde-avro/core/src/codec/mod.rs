//! Encoding and decoding between bytes and Rust types with the layout of their own schema.
//!
//! [`Encode`] and [`Decode`] are implemented for the types of primitive values, strings, bytes,
//! arrays and maps, and by generated code for records, enums, fixed types and unions. Neither looks
//! at a schema: the order of the calls is the schema. Data of another writer's schema are rewritten
//! first.
//!
//! ```
//! use avouch_avro::codec::{Decode, DecodeError, Decoder, Encode, EncodeError, Encoder};
//!
//! #[derive(Debug, PartialEq)]
//! struct Payment<'de> {
//!     id: &'de str,
//!     amount: i64,
//! }
//!
//! impl Encode for Payment<'_> {
//!     fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
//!         self.id.encode(out).map_err(|error| error.in_field("id"))?;
//!         self.amount.encode(out).map_err(|error| error.in_field("amount"))
//!     }
//! }
//!
//! impl<'de> Decode<'de> for Payment<'de> {
//!     fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
//!         Ok(Self {
//!             id: Decode::decode(input).map_err(|error| error.in_field("id"))?,
//!             amount: Decode::decode(input).map_err(|error| error.in_field("amount"))?,
//!         })
//!     }
//! }
//!
//! let payment = Payment { id: "p1", amount: 3 };
//! let bytes = avouch_avro::to_vec(&payment)?;
//! assert_eq!(bytes, b"\x04p1\x06");
//! assert_eq!(avouch_avro::from_slice::<Payment>(&bytes)?, payment);
//!
//! let error = avouch_avro::from_slice::<Payment>(b"\x04p1").unwrap_err();
//! assert_eq!(error.to_string(), "/amount: truncated at byte 3 of 3, long needs 1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Data may come from untrusted sources: depth, items and memory are bounded by a
//! [`Budget`](crate::validator::Budget), and no input causes a panic.

mod component;
mod decoder;
mod encoder;
mod error;
mod impls;

pub use component::{SchemaComponent, SchemaWriter, schema_of};
pub use decoder::{Blocks, Decoder};
pub use encoder::Encoder;
pub use error::{DecodeError, DecodeErrorKind, EncodeError, EncodeErrorKind};
pub use impls::{decode_option, encode_option};

use crate::Schema;
use crate::compatibility::CheckError;
use crate::diff::{self, Change};

/// A value that is encoded in the layout of its type's schema.
pub trait Encode {
    /// Appends the value.
    ///
    /// # Errors
    /// If the value has no counterpart in the schema, such as a date beyond its range.
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError>;
}

/// A type that is decoded from the layout of its schema. Strings and bytes may borrow from the
/// datum.
pub trait Decode<'de>: Sized {
    /// Reads a value.
    ///
    /// # Errors
    /// If the bytes are not a value of the schema, exceed the budget, or have a value that the type
    /// does not have.
    fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError>;
}

/// A type with a schema: generated from it, or with a schema that `derive(AvroType)` builds. Types
/// that are generated also have the constants `SCHEMA`, its text, and `FINGERPRINT`.
pub trait AvroType {
    /// The full name of the record, enum or fixed.
    const FULL_NAME: &'static str;
    /// The subject of the schema in a registry, if it is known, such as `payments-value`.
    const SUBJECT: Option<&'static str> = None;

    /// Returns the schema. An implementation parses it once and keeps it in a
    /// [`LazyLock`](std::sync::LazyLock).
    fn schema() -> &'static Schema;

    /// Returns the changes from a schema, such as that of a registry, to the type's own. Without
    /// changes both describe the same data; documentation and order of attributes may differ.
    ///
    /// # Errors
    /// If the schemas cannot be compared within the budget.
    fn changes_from(registered: &Schema) -> Result<Vec<Change>, CheckError> {
        diff::between(registered, Self::schema())
    }
}

/// Returns the encoded form of a value.
///
/// # Errors
/// As [`Encode::encode`].
#[inline]
pub fn to_vec<T: Encode + ?Sized>(value: &T) -> Result<Vec<u8>, EncodeError> {
    let mut out = Encoder::new();
    value.encode(&mut out)?;
    Ok(out.into())
}

/// Appends the encoded form of a value to a buffer. After an error the buffer has its old content.
///
/// # Errors
/// As [`Encode::encode`].
#[inline]
pub fn append<T: Encode + ?Sized>(value: &T, buffer: &mut Vec<u8>) -> Result<(), EncodeError> {
    let len = buffer.len();
    let mut out = Encoder::from(std::mem::take(buffer));
    let encoded = value.encode(&mut out);
    *buffer = out.into();
    if encoded.is_err() {
        buffer.truncate(len);
    }
    encoded
}

/// Decodes a datum that is exactly one value, within the default
/// [`Budget`](crate::validator::Budget).
///
/// # Errors
/// As [`Decode::decode`], and if bytes follow the value.
#[inline]
pub fn from_slice<'de, T: Decode<'de>>(datum: &'de [u8]) -> Result<T, DecodeError> {
    let mut input = Decoder::new(datum);
    let value = T::decode(&mut input)?;
    input.finish()?;
    Ok(value)
}
