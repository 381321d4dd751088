//! Schemas of Rust types: each type writes its part of the schema that contains it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::Schema;
use crate::decimal::ScaledDecimal;
use crate::schema::ParseError;

/// A type whose schema can be part of another one. `derive(AvroType)` implements it.
///
/// | Rust | Avro |
/// |---|---|
/// | `bool`, `f32`, `f64` | boolean, float, double |
/// | `i8`, `i16`, `i32`, `u16` | int |
/// | `i64`, `u32`, `u64` | long; a `u64` of 2^63 or more is an error |
/// | `String`, `&str`, `Box<str>`, `Cow<str>` | string |
/// | `Vec<u8>`, `&[u8]`, `Box<[u8]>` | bytes |
/// | `Vec<T>`, `HashMap<String, T>`, `BTreeMap<String, T>` | array, map |
/// | `Option<T>` | union of null and the schema of `T` |
/// | `ScaledDecimal<PRECISION, SCALE>` | bytes, with the logical type decimal |
pub trait SchemaComponent {
    /// Appends the schema of the type as JSON.
    fn write_schema(out: &mut SchemaWriter);
}

/// The JSON text of a schema, with the named types that it defines so far.
#[derive(Debug, Default)]
pub struct SchemaWriter {
    text: String,
    defined: BTreeSet<String>,
}

impl SchemaWriter {
    /// Appends JSON.
    pub fn json(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// Appends the definition of a named type where it occurs first, and its name elsewhere.
    pub fn define(&mut self, full_name: &str, definition: impl FnOnce(&mut Self)) {
        // Before the definition is written, because it can contain its own name.
        if self.defined.insert(full_name.to_owned()) {
            definition(self);
        } else {
            // A full name has no characters that JSON escapes.
            self.text.extend(["\"", full_name, "\""]);
        }
    }
}

/// Returns the schema of a type.
///
/// # Errors
/// If the parts are no schema together, such as a union in a union or a default of another type.
pub fn schema_of<T: SchemaComponent + ?Sized>() -> Result<Schema, ParseError> {
    let mut out = SchemaWriter::default();
    T::write_schema(&mut out);
    Schema::parse(&out.text)
}

macro_rules! primitive {
    ($($name:literal: $($type:ty),*;)*) => {
        $($(
            impl SchemaComponent for $type {
                fn write_schema(out: &mut SchemaWriter) {
                    out.json(concat!("\"", $name, "\""));
                }
            }
        )*)*
    };
}

primitive! {
    "null": ();
    "boolean": bool;
    "int": i8, i16, i32, u16;
    "long": i64, u32, u64;
    "float": f32;
    "double": f64;
    "string": String, str, Box<str>;
    "bytes": Vec<u8>, [u8], Box<[u8]>;
}

impl<T: SchemaComponent + ?Sized> SchemaComponent for &T {
    fn write_schema(out: &mut SchemaWriter) {
        T::write_schema(out);
    }
}

impl<T: SchemaComponent> SchemaComponent for Box<T> {
    fn write_schema(out: &mut SchemaWriter) {
        T::write_schema(out);
    }
}

impl<T: SchemaComponent + ToOwned + ?Sized> SchemaComponent for Cow<'_, T> {
    fn write_schema(out: &mut SchemaWriter) {
        T::write_schema(out);
    }
}

impl<T: SchemaComponent> SchemaComponent for Option<T> {
    fn write_schema(out: &mut SchemaWriter) {
        out.json("[\"null\",");
        T::write_schema(out);
        out.json("]");
    }
}

impl<T: SchemaComponent> SchemaComponent for Vec<T> {
    fn write_schema(out: &mut SchemaWriter) {
        out.json("{\"type\":\"array\",\"items\":");
        T::write_schema(out);
        out.json("}");
    }
}

fn write_map<T: SchemaComponent>(out: &mut SchemaWriter) {
    out.json("{\"type\":\"map\",\"values\":");
    T::write_schema(out);
    out.json("}");
}

impl<T: SchemaComponent> SchemaComponent for BTreeMap<String, T> {
    fn write_schema(out: &mut SchemaWriter) {
        write_map::<T>(out);
    }
}

impl<T: SchemaComponent, S> SchemaComponent for HashMap<String, T, S> {
    fn write_schema(out: &mut SchemaWriter) {
        write_map::<T>(out);
    }
}

impl<const PRECISION: u32, const SCALE: u32> SchemaComponent for ScaledDecimal<PRECISION, SCALE> {
    fn write_schema(out: &mut SchemaWriter) {
        out.json(&format!(
            "{{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":{PRECISION},\
             \"scale\":{SCALE}}}"
        ));
    }
}
