//! Defaults of fields as expressions (specification, section Complex Types, Records: default).

use proc_macro2::{Literal, TokenStream};
use quote::quote;
use serde_json::Value;

use super::{Emitter, Form};
use crate::model::{Item, ItemId, Kind, Logical, Type, Union};
use crate::names::ident;

/// Days from 1970-01-01 of the first and last day that all crates of dates have, in the years 1 to
/// 9999.
const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;
/// Maximum nesting of records within a default. A recursive type can have a default that has no
/// end.
const DEPTH_MAX: usize = 32;

impl Emitter<'_> {
    /// Returns the expression of a default, or `None` if the Rust type does not have the value; the
    /// field is then required.
    pub(super) fn default(&self, ty: &Type, json: &Value, item: &Item) -> Option<TokenStream> {
        self.value(ty, json, item, 0)
    }

    fn value(&self, ty: &Type, json: &Value, from: &Item, depth: usize) -> Option<TokenStream> {
        // A default can nest as deep as its JSON, and its code as deep as the compiler permits.
        if depth > DEPTH_MAX {
            return None;
        }
        Some(match ty {
            Type::Null if json.is_null() => quote!(()),
            // The literals of a type of the user are unknown.
            Type::Null | Type::External(_) => return None,
            Type::Boolean => {
                let value = json.as_bool()?;
                quote!(#value)
            }
            Type::Int => number(&Literal::i32_unsuffixed(
                i32::try_from(json.as_i64()?).ok()?,
            )),
            Type::Long => number(&Literal::i64_unsuffixed(json.as_i64()?)),
            Type::Float => float32(json)?,
            Type::Double => float64(json)?,
            Type::Bytes => {
                let bytes = bytes(json)?;
                let literal = Literal::byte_string(&bytes);
                match bytes.is_empty() {
                    true => quote!(Vec::new()),
                    false => quote!(#literal.to_vec()),
                }
            }
            Type::String => string(json.as_str()?),
            Type::Logical(logical) => self.logical_value(*logical, json, from)?,
            Type::Array(items) => {
                let elements = json.as_array()?.iter();
                let values = elements.map(|value| self.value(items, value, from, depth + 1));
                let values: Vec<TokenStream> = values.collect::<Option<_>>()?;
                match values.is_empty() {
                    true => quote!(Vec::new()),
                    false => quote!(vec![#(#values),*]),
                }
            }
            Type::Map(values) => self.map_value(values, json, from, depth)?,
            Type::Single(inner) => self.value(inner, json, from, depth)?,
            Type::Option(_) if json.is_null() => quote!(None),
            Type::Option(nullable) => {
                let inner = self.value(&nullable.inner, json, from, depth)?;
                quote!(Some(#inner))
            }
            Type::Item(id) => self.item_value(*id, json, from, depth + 1)?,
            Type::Boxed(id) => {
                let inner = self.item_value(*id, json, from, depth + 1)?;
                quote!(Box::new(#inner))
            }
        })
    }

    fn map_value(
        &self,
        values: &Type,
        json: &Value,
        from: &Item,
        depth: usize,
    ) -> Option<TokenStream> {
        let mut entries = Vec::new();
        for (key, value) in json.as_object()? {
            let value = self.value(values, value, from, depth + 1)?;
            let key = string(key);
            entries.push(quote!((#key, #value)));
        }
        Some(match entries.is_empty() {
            true => quote!(::std::collections::BTreeMap::new()),
            false => quote!(::std::collections::BTreeMap::from([#(#entries),*])),
        })
    }

    fn item_value(
        &self,
        id: ItemId,
        json: &Value,
        from: &Item,
        depth: usize,
    ) -> Option<TokenStream> {
        let path = self.item_path(id, from, Form::Owned);
        match &self.model.items[id.0].kind {
            Kind::Record(record) => {
                let object = json.as_object()?;
                let mut fields = Vec::new();
                for field in &record.fields {
                    // An absent field has its own default.
                    let value = object.get(&field.avro_name).or(field.default.as_ref())?;
                    let name = ident(&field.name);
                    let value = self.value(&field.ty, value, from, depth)?;
                    fields.push(quote!(#name: #value));
                }
                Some(quote!(#path { #(#fields),* }))
            }
            Kind::Enum(symbols) => {
                let symbol = json.as_str()?;
                let (variant, _) = symbols.variants.iter().find(|(_, other)| other == symbol)?;
                let variant = ident(variant);
                Some(quote!(#path::#variant))
            }
            Kind::Fixed(size) => {
                let bytes = bytes(json)?;
                let literal = Literal::byte_string(&bytes);
                (bytes.len() == *size).then(|| quote!(#path(*#literal)))
            }
            Kind::Union(union) => self.union_value(union, &path, json, from, depth),
            Kind::Wrapper(_) => None,
        }
    }

    /// Returns the value of the first branch that has it.
    fn union_value(
        &self,
        union: &Union,
        path: &TokenStream,
        json: &Value,
        from: &Item,
        depth: usize,
    ) -> Option<TokenStream> {
        // A default belonged to the first branch; since Avro 1.12 it can belong to any.
        union.branches.iter().find_map(|branch| {
            let value = self.value(&branch.ty, json, from, depth)?;
            let variant = ident(&branch.name);
            Some(quote!(#path::#variant(#value)))
        })
    }

    fn logical_value(&self, logical: Logical, json: &Value, from: &Item) -> Option<TokenStream> {
        match logical {
            Logical::Decimal { .. } => {
                let bytes = bytes(json)?;
                // The sign of the number is that of its first byte.
                let sign = bytes
                    .first()
                    .map_or(0, |first| if *first > 0x7f { 0xff } else { 0 });
                let mut wide = [sign; 16];
                // Longer numbers exceed the precision of the type.
                let start = wide.len().checked_sub(bytes.len())?;
                wide[start..].copy_from_slice(&bytes);
                let number = Literal::i128_unsuffixed(i128::from_be_bytes(wide));
                Some(quote!(::avouch_avro::decimal::ScaledDecimal::from_unscaled(#number)))
            }
            Logical::Duration => {
                let bytes: [u8; 12] = bytes(json)?.try_into().ok()?;
                let part = |at: usize| {
                    let part = bytes[at..at + 4].try_into().unwrap_or_default();
                    // A duration is little-endian, unlike a decimal.
                    Literal::u32_unsuffixed(u32::from_le_bytes(part))
                };
                let (months, days, millis) = (part(0), part(4), part(8));
                Some(quote!(::avouch_avro::logical::Duration {
                    months: #months, days: #days, millis: #millis
                }))
            }
            Logical::BigDecimal | Logical::UuidString | Logical::UuidFixed => None,
            time => self.time_value(time, json.as_i64()?, from),
        }
    }

    fn time_value(&self, time: Logical, raw: i64, from: &Item) -> Option<TokenStream> {
        let literal = Literal::i64_unsuffixed(raw);
        let units_per_day = match time {
            Logical::Date => 1,
            Logical::TimeMillis | Logical::TimestampMillis | Logical::LocalTimestampMillis => {
                86_400_000
            }
            Logical::TimestampNanos | Logical::LocalTimestampNanos => 86_400_000_000_000,
            _ => 86_400_000_000_i64,
        };
        let is_clock = matches!(time, Logical::TimeMillis | Logical::TimeMicros);
        let is_in_range = match is_clock {
            true => (0..units_per_day).contains(&raw),
            false => DAYS.contains(&raw.div_euclid(units_per_day)),
        };
        let name = format!("{}_of", time.time_name()?);
        let function = self.support_path(&name, from);
        is_in_range.then(|| quote!(#function(#literal).expect("the default is in range")))
    }
}

fn number(literal: &Literal) -> TokenStream {
    quote!(#literal)
}

fn string(text: &str) -> TokenStream {
    match text.is_empty() {
        true => quote!(String::new()),
        false => quote!(String::from(#text)),
    }
}

/// Returns the bytes of a default, each of which is a character below 256.
fn bytes(json: &Value) -> Option<Vec<u8>> {
    let characters = json.as_str()?.chars();
    characters
        .map(|character| u8::try_from(u32::from(character)).ok())
        .collect()
}

/// Returns a number, or one of the strings that Java reads as numbers that JSON does not have.
fn double(json: &Value) -> Option<f64> {
    match json {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn float64(json: &Value) -> Option<TokenStream> {
    let value = double(json)?;
    Some(match special(value, &quote!(f64)) {
        Some(special) => special,
        None => number(&Literal::f64_unsuffixed(value)),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a default of a float is the nearest one, as in Java"
)]
fn float32(json: &Value) -> Option<TokenStream> {
    let value = double(json)? as f32;
    Some(match special(f64::from(value), &quote!(f32)) {
        Some(special) => special,
        None => number(&Literal::f32_unsuffixed(value)),
    })
}

fn special(value: f64, of: &TokenStream) -> Option<TokenStream> {
    match value {
        value if value.is_nan() => Some(quote!(#of::NAN)),
        f64::INFINITY => Some(quote!(#of::INFINITY)),
        f64::NEG_INFINITY => Some(quote!(#of::NEG_INFINITY)),
        _ => None,
    }
}
