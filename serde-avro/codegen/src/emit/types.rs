//! Types and paths as tokens.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::{Emitter, Form};
use crate::config::TimeCrate;
use crate::model::{Item, ItemId, Logical, Type};
use crate::names::ident;

impl Emitter<'_> {
    /// Returns the type as it is written in the module of `from`.
    pub(super) fn ty(&self, ty: &Type, from: &Item, form: Form) -> TokenStream {
        match ty {
            Type::Null => quote!(()),
            Type::Boolean => quote!(bool),
            Type::Int => quote!(i32),
            Type::Long => quote!(i64),
            Type::Float => quote!(f32),
            Type::Double => quote!(f64),
            Type::Bytes if form == Form::Borrowed => quote!(&'de [u8]),
            Type::Bytes => quote!(Vec<u8>),
            Type::String if form == Form::Borrowed => quote!(&'de str),
            Type::String => quote!(String),
            Type::Logical(logical) => self.logical(*logical),
            Type::Array(items) => {
                let items = self.ty(items, from, form);
                quote!(Vec<#items>)
            }
            Type::Map(values) => {
                let key = self.ty(&Type::String, from, form);
                let values = self.ty(values, from, form);
                quote!(::std::collections::BTreeMap<#key, #values>)
            }
            Type::Single(inner) => self.ty(inner, from, form),
            Type::Option(nullable) => {
                let inner = self.ty(&nullable.inner, from, form);
                quote!(Option<#inner>)
            }
            Type::Item(id) => self.item_type(*id, from, form),
            Type::Boxed(id) => {
                let inner = self.item_type(*id, from, form);
                quote!(Box<#inner>)
            }
            Type::External(path) => external(path),
        }
    }

    fn logical(&self, logical: Logical) -> TokenStream {
        match logical {
            Logical::Decimal {
                precision, scale, ..
            } => {
                let (precision, scale) = (unsuffixed(precision), unsuffixed(scale));
                quote!(::avouch_avro::decimal::ScaledDecimal<#precision, #scale>)
            }
            Logical::BigDecimal => quote!(::avouch_avro::logical::BigDecimal),
            Logical::Duration => quote!(::avouch_avro::logical::Duration),
            Logical::UuidString | Logical::UuidFixed => quote!(::uuid::Uuid),
            time => self.time(time),
        }
    }

    fn time(&self, logical: Logical) -> TokenStream {
        use Logical::{
            Date, LocalTimestampMicros, LocalTimestampMillis, LocalTimestampNanos, TimeMicros,
            TimeMillis,
        };
        let is_local = matches!(
            logical,
            LocalTimestampMillis | LocalTimestampMicros | LocalTimestampNanos
        );
        let is_time = matches!(logical, TimeMillis | TimeMicros);
        match self.config.time {
            // The model has numbers instead.
            TimeCrate::Raw => quote!(i64),
            TimeCrate::Jiff if logical == Date => quote!(::jiff::civil::Date),
            TimeCrate::Jiff if is_time => quote!(::jiff::civil::Time),
            TimeCrate::Jiff if is_local => quote!(::jiff::civil::DateTime),
            TimeCrate::Jiff => quote!(::jiff::Timestamp),
            TimeCrate::Chrono if logical == Date => quote!(::chrono::NaiveDate),
            TimeCrate::Chrono if is_time => quote!(::chrono::NaiveTime),
            TimeCrate::Chrono if is_local => quote!(::chrono::NaiveDateTime),
            TimeCrate::Chrono => quote!(::chrono::DateTime<::chrono::Utc>),
            TimeCrate::Time if logical == Date => quote!(::time::Date),
            TimeCrate::Time if is_time => quote!(::time::Time),
            TimeCrate::Time if is_local => quote!(::time::PrimitiveDateTime),
            TimeCrate::Time => quote!(::time::UtcDateTime),
        }
    }

    /// Returns the type of an item within its own module.
    pub(super) fn own_type(&self, item: &Item, form: Form) -> TokenStream {
        match (form, &item.borrowed) {
            (Form::Borrowed, Some(name)) => {
                let name = ident(name);
                quote!(#name<'de>)
            }
            _ => {
                let name = ident(&item.name);
                quote!(#name)
            }
        }
    }

    fn item_type(&self, id: ItemId, from: &Item, form: Form) -> TokenStream {
        let item = &self.model.items[id.0];
        let path = path(&from.module, &item.module);
        let name = self.own_type(item, form);
        quote!(#path #name)
    }

    /// Returns the path of an item in expressions and patterns, without generic arguments.
    pub(super) fn item_path(&self, id: ItemId, from: &Item, form: Form) -> TokenStream {
        let item = &self.model.items[id.0];
        let path = path(&from.module, &item.module);
        let name = match (form, &item.borrowed) {
            (Form::Borrowed, Some(name)) => ident(name),
            _ => ident(&item.name),
        };
        quote!(#path #name)
    }

    /// Returns the path of a conversion function.
    pub(super) fn support_path(&self, name: &str, from: &Item) -> TokenStream {
        let path = path(&from.module, &[]);
        let (module, name) = (ident(&self.support), ident(name));
        quote!(#path #module::#name)
    }
}

/// Returns the path from a module to another, with a separator at its end.
fn path(from: &[String], to: &[String]) -> TokenStream {
    let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let up = from.len() - common;
    let supers = (0..up).map(|_| quote!(super::));
    let down = to[common..].iter().map(|name| {
        let name = ident(name);
        quote!(#name::)
    });
    quote!(#(#supers)* #(#down)*)
}

/// Returns a path of the user, which was parsed before.
fn external(path: &str) -> TokenStream {
    path.parse().unwrap_or_default()
}

/// Returns a number without a suffix.
pub(super) fn unsuffixed(number: u32) -> Literal {
    Literal::u32_unsuffixed(number)
}

/// Returns a position as a number without a suffix. Schemas have fewer branches and symbols than
/// `u32::MAX`.
pub(super) fn position(at: usize) -> Literal {
    Literal::usize_unsuffixed(at)
}

/// Returns a raw string, or an escaped one if the text has characters that raw strings must not
/// have.
pub(super) fn raw_literal(text: &str) -> Literal {
    let is_plain = |c: char| (' '..='~').contains(&c) || c.is_alphanumeric();
    if !text.chars().all(is_plain) {
        return Literal::string(text);
    }
    let mut hashes = String::from("#");
    while text.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    let raw = format!("r{hashes}\"{text}\"{hashes}");
    raw.parse().unwrap_or_else(|_| Literal::string(text))
}
