//! Encoding and decoding of serde types under a schema. Requires the feature `serde`.
//!
//! ```
//! use avouch_avro::Schema;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, PartialEq, Serialize, Deserialize)]
//! struct Payment<'a> {
//!     id: &'a str,
//!     amount: u32,
//!     note: Option<&'a str>,
//! }
//!
//! let schema = Schema::parse(
//!     r#"{"type": "record", "name": "com.example.PaymentV2", "fields": [
//!         {"name": "id", "type": "string"},
//!         {"name": "amount", "type": "long"},
//!         {"name": "note", "type": ["string", "null"]}]}"#,
//! )?;
//! let payment = Payment { id: "p1", amount: 3, note: None };
//! let bytes = avouch_avro::serde::to_vec(&payment, &schema)?;
//! assert_eq!(bytes, b"\x04p1\x06\x02");
//! assert_eq!(avouch_avro::serde::from_slice::<Payment>(&bytes, &schema)?, payment);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | schema | Rust |
//! |---|---|
//! | int, long | any integer, checked for its range |
//! | float, double | `f32`, `f64` |
//! | bytes, fixed | `&[u8]`, byte buffers of serde, `Vec<u8>`, `[u8; N]` |
//! | string | `&str`, `String`, `char`; unit variants by name |
//! | enum | unit variants by name, `&str` |
//! | array | sequences and tuples |
//! | map | maps with strings as keys, structs |
//! | record | structs whatever their name, tuples by position, maps |
//! | union | `Option`, enums, or the type of a branch |
//!
//! An `Option` is a union with null in any position. An enum is a union by the names of its
//! branches: the type, full name or simple name, ignoring case and `_`. If no variant has the name
//! of a branch, the enum is a union by position, not counting null within an `Option`. Other values
//! are those of the first branch that has them.
//!
//! Logical types have the representation of their underlying type.
//! [`Decimal`](crate::logical::Decimal), [`BigDecimal`](crate::logical::BigDecimal) and
//! [`Duration`](crate::logical::Duration) convert its bytes. Struct fields and record fields match
//! by name; a field that the struct omits has the default of the schema. Error messages contain no
//! data, except those of implementations of `Deserialize`.

mod compound;
mod de;
mod names;
mod ser;

use crate::Schema;
use crate::codec::{DecodeError, Decoder, EncodeError, Encoder};
use crate::validator::Budget;

/// Encodes a value.
///
/// # Errors
/// Returns an [`EncodeError`] with the path if the schema does not represent the value.
pub fn to_vec<T>(value: &T, schema: &Schema) -> Result<Vec<u8>, EncodeError>
where
    T: ::serde::Serialize + ?Sized,
{
    let mut out = Encoder::new();
    value.serialize(ser::ValueSerializer::new(schema, &mut out))?;
    Ok(out.into())
}

/// Decodes a datum that is exactly one value of the schema, within the default [`Budget`]. Strings
/// and bytes may borrow from the datum.
///
/// # Errors
/// Returns a [`DecodeError`] with path and offset if the datum is invalid or the type does not
/// represent its value.
pub fn from_slice<'de, T>(datum: &'de [u8], schema: &Schema) -> Result<T, DecodeError>
where
    T: ::serde::Deserialize<'de>,
{
    from_slice_with(datum, schema, Budget::default())
}

/// As [`from_slice`], with a budget.
///
/// # Errors
/// As [`from_slice`].
pub fn from_slice_with<'de, T>(
    datum: &'de [u8],
    schema: &Schema,
    budget: Budget,
) -> Result<T, DecodeError>
where
    T: ::serde::Deserialize<'de>,
{
    let mut input = Decoder::with_budget(datum, budget);
    let value = T::deserialize(de::ValueDeserializer::new(schema, &mut input))?;
    input.finish()?;
    Ok(value)
}
