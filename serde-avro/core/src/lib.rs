//! Apache Avro schemas and data: a schema model, schema compatibility and changes, a compiled
//! validator, a codec for Rust types, resolution of a writer's schema, and Confluent's wire format.
//!
//! ```
//! use avouch_avro::{Schema, framing, validator::Validator};
//!
//! let first = Schema::parse(
//!     r#"{"type": "record", "name": "Payment", "namespace": "com.example", "fields": [
//!         {"name": "id", "type": "string"},
//!         {"name": "amount", "type": "long"}]}"#,
//! )?;
//! let second = Schema::parse(
//!     r#"{"type": "record", "name": "Payment", "namespace": "com.example", "fields": [
//!         {"name": "id", "type": "string"},
//!         {"name": "amount", "type": "long"},
//!         {"name": "note", "type": ["null", "string"], "default": null}]}"#,
//! )?;
//! // The second version reads data of the first one.
//! assert!(second.can_read(&first)?.is_compatible());
//!
//! // A serializer's payload: a magic byte, the id of the writer's schema, then the datum.
//! let payload = b"\0\0\0\0\x29\x04p1\x06";
//! let framed = framing::split(payload)?;
//! assert_eq!(framed.schema, framing::SchemaRef::Id(41));
//! let validator = Validator::compile(&first)?;
//! validator.validate(framed.datum)?;
//!
//! let fault = validator.validate(b"\x04p1").unwrap_err();
//! assert_eq!(fault.to_string(), "/amount: truncated at byte 3 of 3, long needs 1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Incompatibilities have their position in both schemas and a suggestion; changes have the readers
//! that they break:
//!
//! ```
//! use avouch_avro::{Schema, diff};
//!
//! let old = r#"{"type":"record","name":"R","fields":[]}"#;
//! let new = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
//! let (old, new) = (Schema::parse(old)?, Schema::parse(new)?);
//! let compatibility = new.can_read(&old)?;
//! assert_eq!(
//!     compatibility.findings()[0].suggestion(),
//!     "add \"default\": 0 to field a in the reader's schema"
//! );
//! let changes = diff::between(&old, &new)?;
//! assert_eq!(
//!     changes[0].to_string(),
//!     "/a: field a was added without a default; breaks new readers"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Types are encoded and decoded by the traits of [`codec`], which generated code implements. Data
//! of another schema are resolved first:
//!
//! ```
//! use avouch_avro::{Schema, from_slice, resolution::Resolver, to_vec};
//!
//! let datum = to_vec(&vec![1_i32, 2])?;
//! let ints = Schema::parse(r#"{"type": "array", "items": "int"}"#)?;
//! let doubles = Schema::parse(r#"{"type": "array", "items": "double"}"#)?;
//! let mut buffer = Vec::new();
//! let resolved = Resolver::new(&ints, &doubles)?.resolve(&datum, &mut buffer)?.to_vec();
//! assert_eq!(from_slice::<Vec<f64>>(&resolved)?, [1.0, 2.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The parts of the specification:
//!
//! | section | item |
//! |---|---|
//! | Schema Declaration | [`Schema::parse`] |
//! | Primitive Types; Records, Enums, Arrays, Maps, Unions, Fixed | [`schema::Type`] |
//! | Names | [`schema::Name`] |
//! | Aliases | [`schema::Record::aliases`], [`schema::Field::aliases`] |
//! | default values | [`schema::Field::default`], [`schema::Enum::default`] |
//! | Sort Order | [`schema::Order`] |
//! | Logical Types | [`schema::Node::logical_type`] |
//! | other attributes as metadata | [`schema::Node::attributes`] |
//! | Transforming into Parsing Canonical Form | [`Schema::parsing_canonical_form`] |
//! | Schema Fingerprints | [`Schema::rabin_fingerprint`] and the other digests |
//! | Schema Resolution | [`resolution`]; [`Schema::can_read`], [`compatibility`]; [`diff`] |
//! | Binary Encoding | [`codec`], [`validator`] |
//!
//! Behavior of other implementations:
//!
//! | origin | item |
//! |---|---|
//! | Java's `Schema.toString` | `Display` of [`Schema`], [`Schema::to_registry_string`] |
//! | Java's `SchemaCompatibility` | [`Schema::can_read`] |
//! | Confluent's `normalize` | [`Schema::to_normalized_string`] |
//! | Confluent's wire format | [`framing`] |
//!
//! Schemas and data may come from untrusted sources: time and memory are bounded by [`Limits`], by
//! a budget or by the size of the input, and no input causes a panic.
//!
//! The feature `serde` adds the module `serde`, which encodes and decodes serde types under a
//! schema, and implements `Serialize` and `Deserialize` for [`Schema`].

pub mod codec;
pub mod compatibility;
pub mod decimal;
pub mod diff;
pub mod framing;
mod json;
pub mod logical;
pub mod resolution;
pub mod schema;
#[cfg(feature = "serde")]
pub mod serde;
mod span;
pub mod validator;

pub use codec::{from_slice, to_vec};
pub use schema::{Limits, ParseError, Schema};

/// Compiles the example of the README with the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
