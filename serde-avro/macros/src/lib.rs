//! Macros for Avro types. [`include_avro!`] generates the types of schema files in place.
//! [`derive(AvroType)`](derive@AvroType) goes in the opposite direction: it builds the schema of a
//! Rust type, and encodes and decodes it.
//!
//! ```
//! avouch_avro_macros::include_avro!("tests/payment.avsc");
//! use com::example::Payment;
//!
//! let payment = Payment { id: "p1".to_owned(), amount: 3 };
//! let bytes = avouch_avro::to_vec(&payment)?;
//! assert_eq!(avouch_avro::from_slice::<Payment>(&bytes)?, payment);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attributes;
mod derive;
mod include;

use proc_macro::TokenStream;

/// Generates the types of schema files where it is called, as `avouch-codegen` does.
///
/// ```text
/// include_avro!(PATH, ... [, borrowed] [, time = jiff | chrono | time | raw]);
/// ```
///
/// `PATH` is a file, or a folder with `.avsc` files, relative to the folder of the crate's
/// `Cargo.toml`. `borrowed` adds types that borrow strings and bytes; `time` selects the crate with
/// the types of dates and times, jiff by default. The crate depends on `avouch-avro`, and on what
/// the types use of jiff and uuid.
///
/// A change of a file compiles the crate again. A new file in a folder does not; in a build script,
/// `avouch_codegen::Generator::build` does so.
#[proc_macro]
pub fn include_avro(input: TokenStream) -> TokenStream {
    let included = syn::parse::<include::Include>(input).and_then(|include| include.expand());
    included
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Builds the Avro schema of a type, and implements `AvroType`, `SchemaComponent`, `Encode` and
/// `Decode` of `avouch_avro::codec`.
///
/// A struct with named fields is a record. An enum without data is an enum. An enum of variants
/// with one value each is a union of their schemas, in which a variant without a value is null. The
/// table of `SchemaComponent` lists the types of fields. Documentation comments become `doc`.
///
/// Attributes of the type, `#[avro(...)]`:
///
/// | attribute | effect |
/// |---|---|
/// | `name = "..."` | the name in the schema instead of the Rust name |
/// | `namespace = "..."` | the namespace |
/// | `subject = "..."` | `AvroType::SUBJECT` |
/// | `rename_all = "..."` | the case of fields or symbols |
/// | `default = "..."` | the default symbol of an enum |
///
/// The cases are `camelCase`, `PascalCase`, `snake_case` and `SCREAMING_SNAKE_CASE`.
///
/// Attributes of a field or variant:
///
/// | attribute | effect |
/// |---|---|
/// | `name = "..."` | the name of the field or symbol |
/// | `default = "..."` | the default of a field, as JSON; `null` for an `Option` without one |
///
/// The type has no type parameters and at most one lifetime.
#[proc_macro_derive(AvroType, attributes(avro))]
pub fn avro_type(input: TokenStream) -> TokenStream {
    let derived = syn::parse(input).and_then(|input| derive::expand(&input));
    derived
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Compiles the example of the README with the doc tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
