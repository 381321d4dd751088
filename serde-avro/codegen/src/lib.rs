//! Rust types from Avro schemas. The types encode and decode through the codec of `avouch-avro`,
//! without an intermediate value.
//!
//! ```
//! use avouch_codegen::Generator;
//!
//! let schema = r#"{"type": "record", "name": "Payment", "namespace": "com.example", "fields": [
//!     {"name": "paymentId", "type": "string"},
//!     {"name": "note", "type": ["null", "string"], "default": null}]}"#;
//! let code = Generator::new().generate([("payment.avsc", schema)])?;
//! assert!(code.contains("pub mod com"));
//! assert!(code.contains("pub struct Payment {"));
//! assert!(code.contains("pub payment_id: String"));
//! assert!(code.contains("pub note: Option<String>"));
//! # Ok::<(), avouch_codegen::Error>(())
//! ```
//!
//! In a `build.rs`, [`Generator::build`] writes the types of files to `OUT_DIR`.
//!
//! | Avro | Rust |
//! |---|---|
//! | namespace | modules |
//! | record | struct with public fields, in snake case |
//! | enum | `#[non_exhaustive]` enum with `as_str` and `FromStr` |
//! | union of null and one type, in any order | `Option` |
//! | other union | enum `RecordField`, in `Option` if null is one of the branches |
//! | array, map | `Vec`, `BTreeMap` |
//! | fixed | struct with an array of bytes |
//! | decimal up to 38 digits | `avouch_avro::decimal::ScaledDecimal<PRECISION, SCALE>` |
//! | date, time, timestamp, local timestamp | types of jiff, chrono or time ([`TimeCrate`]) |
//! | uuid, duration | `uuid::Uuid`, `avouch_avro::logical::Duration` |
//!
//! A record has `Default` if each field has a default, and else a `NameBuilder` with the fields
//! without a default, if others have one. An enum has `Default` if the schema has a default symbol,
//! which `FromStr` returns for unknown symbols. Decimals with more digits are bytes.
//!
//! A record that contains itself has a `Box` in the field that closes the cycle. All types
//! implement `Encode` and `Decode`, and named types `AvroType`; their constants `SCHEMA` and
//! `FINGERPRINT` are the schema and its fingerprint.

mod config;
mod docs;
mod emit;
mod error;
pub mod files;
mod model;
mod names;
mod sources;

pub use config::{Generator, TimeCrate};
pub use error::{Error, Reason};

/// Compiles the example of the README with the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
