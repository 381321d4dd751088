//! Records: the struct, its codec, its defaults, and the builder of its required fields.

use proc_macro2::TokenStream;
use quote::quote;

use super::named::codec_impls;
use super::{Emitter, Form};
use crate::model::{Field, Item, Record, Type};
use crate::names::ident;

/// Depth of type parameters from which clippy may find a type complex.
const COMPLEX_DEPTH: usize = 4;

impl Emitter<'_> {
    pub(super) fn record(&self, item: &Item, record: &Record) -> Vec<TokenStream> {
        let mut code = Vec::new();
        for form in self.forms(item) {
            let attributes = self.attributes(item, form);
            let name = self.own_type(item, form);
            let fields = record
                .fields
                .iter()
                .map(|field| self.field(field, item, form));
            code.push(quote! {
                #attributes
                pub struct #name { #(#fields),* }
            });
            let (encode, decode) = self.record_codec(item, record, form);
            code.extend(codec_impls(&name, form, &encode, &decode));
        }
        code.extend(self.defaults(item, record));
        code
    }

    fn field(&self, field: &Field, item: &Item, form: Form) -> TokenStream {
        let docs = super::docs(&field.docs);
        let name = ident(&field.name);
        let ty = self.ty(&field.ty, item, form);
        let mut depth = 0;
        field.ty.walk(&mut |_| depth += 1);
        let complex = (depth >= COMPLEX_DEPTH).then(|| quote!(#[allow(clippy::type_complexity)]));
        quote!(#docs #complex pub #name: #ty)
    }

    fn record_codec(&self, item: &Item, record: &Record, form: Form) -> (TokenStream, TokenStream) {
        let encode = record.fields.iter().map(|field| {
            let name = ident(&field.name);
            let value = match &field.ty {
                // The borrowed forms are references already.
                Type::Bytes | Type::String if form == Form::Borrowed => quote!(self.#name),
                Type::Boolean | Type::Int | Type::Long | Type::Float | Type::Double => {
                    return by_value(&field.ty, &quote!(self.#name));
                }
                _ => quote!(&self.#name),
            };
            self.encode_statement(&field.ty, &value, &place(field), item)
        });
        let decode = record.fields.iter().map(|field| {
            let name = ident(&field.name);
            let value = self.decode_field(&field.ty, &place(field), item, form);
            quote!(#name: #value)
        });
        (
            quote!(#(#encode)* Ok(())),
            quote!(Ok(Self { #(#decode),* })),
        )
    }

    /// Returns `Default` if all fields have a default, and the builder if some have one.
    fn defaults(&self, item: &Item, record: &Record) -> Vec<TokenStream> {
        let Some(builder) = &record.builder else {
            return Vec::new();
        };
        let default = |field: &Field| {
            let default = field.default.as_ref()?;
            self.default(&field.ty, default, item)
        };
        let defaults: Vec<Option<TokenStream>> = record.fields.iter().map(default).collect();
        let values = record.fields.iter().zip(&defaults).map(|(field, default)| {
            let name = ident(&field.name);
            match default {
                Some(default) => quote!(#name: #default),
                None => quote!(#name: self.#name),
            }
        });
        let name = ident(&item.name);
        // Defaults of schemas are arbitrary: zeros, and numbers near constants.
        let lints = quote!(#[allow(clippy::derivable_impls, clippy::approx_constant)]);
        if defaults.iter().all(Option::is_some) {
            return vec![quote! {
                /// The defaults of the schema.
                #lints
                impl Default for #name {
                    fn default() -> Self {
                        Self { #(#values),* }
                    }
                }
            }];
        }
        if defaults.iter().all(Option::is_none) {
            return Vec::new();
        }
        let required = record
            .fields
            .iter()
            .zip(&defaults)
            .filter(|(_, default)| default.is_none());
        let required = required.map(|(field, _)| self.field(field, item, Form::Owned));
        let docs = [
            format!(
                " The fields of [`{}`] without a default. [`build`](Self::build) returns the",
                item.name
            ),
            " record with the defaults of the schema.".to_owned(),
        ];
        let builder = ident(builder);
        vec![
            quote! {
                #(#[doc = #docs])*
                #[derive(Debug, Clone)]
                pub struct #builder { #(#required),* }
            },
            quote! {
                #lints
                impl #builder {
                    /// Returns the record with the defaults of the schema.
                    #[must_use]
                    pub fn build(self) -> #name {
                        #name { #(#values),* }
                    }
                }
            },
        ]
    }
}

/// Returns a statement that encodes a number or boolean, which needs no reference.
fn by_value(ty: &Type, value: &TokenStream) -> TokenStream {
    match ty {
        Type::Boolean => quote!(out.boolean(#value);),
        Type::Int => quote!(out.int(#value);),
        Type::Long => quote!(out.long(#value);),
        Type::Float => quote!(out.float(#value);),
        _ => quote!(out.double(#value);),
    }
}

fn place(field: &Field) -> TokenStream {
    let name = &field.avro_name;
    quote!(in_field(#name))
}
