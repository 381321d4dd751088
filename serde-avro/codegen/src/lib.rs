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
//! | record | struct with public fields, in snake case; `Default` if each field has a default, else `NameBuilder` with the fields without a default, if some have one |
//! | enum | `#[non_exhaustive]` enum with `as_str` and `FromStr`; `Default` if the schema has one |
//! | union of null and one type, in any order | `Option` |
//! | other union | enum `RecordField` with a variant for each branch; in `Option` if null is one of them |
//! | array, map | `Vec`, `BTreeMap` |
//! | fixed | struct with an array of bytes |
//! | decimal | `avouch_avro::logical::Decimal<PRECISION, SCALE>` up to 38 digits, else bytes |
//! | date, time, timestamp, local timestamp | types of jiff, chrono or time, or numbers ([`TimeCrate`]) |
//! | uuid, duration | `uuid::Uuid`, `avouch_avro::logical::Duration` |
//!
//! A record that contains itself has a `Box` in the field that closes the cycle. All types implement
//! `Encode` and `Decode`, and named types `AvroType`, whose constants are the schema and its
//! fingerprint.

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

/// The lines of `[dependencies]` that generated code needs.
pub const DEPENDENCIES: &str = concat!(
    "avouch-avro = \"",
    env!("CARGO_PKG_VERSION"),
    "\"\njiff = \"0.2\"\nuuid = \"1\"\n"
);

/// Compiles the example of the README with the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
