//! Expressions that encode and decode a value.

use proc_macro2::TokenStream;
use quote::quote;

use super::types::position;
use super::{Emitter, Form};
use crate::model::{Item, Logical, Nullable, Type};

impl Emitter<'_> {
    /// Returns true if the traits of the codec are implemented for the type, with its layout.
    fn is_direct(&self, ty: &Type) -> bool {
        match ty {
            Type::Array(inner) | Type::Map(inner) => self.is_direct(inner),
            Type::Single(_) => false,
            // The traits do not know the order of the branches.
            Type::Option(_) => false,
            Type::Logical(Logical::Decimal { size, .. }) => size.is_none(),
            Type::Logical(logical) => !is_converted(*logical),
            _ => true,
        }
    }

    /// Returns a statement that encodes `value`, a reference, and adds `place` to errors.
    pub(super) fn encode_statement(
        &self,
        ty: &Type,
        value: &TokenStream,
        place: &TokenStream,
        from: &Item,
    ) -> TokenStream {
        let infallible = match ty {
            Type::Null => Some(quote!()),
            Type::Boolean => Some(quote!(out.boolean(*#value);)),
            Type::Int => Some(quote!(out.int(*#value);)),
            Type::Long => Some(quote!(out.long(*#value);)),
            Type::Float => Some(quote!(out.float(*#value);)),
            Type::Double => Some(quote!(out.double(*#value);)),
            Type::Bytes => Some(quote!(out.bytes(#value);)),
            Type::String => Some(quote!(out.string(#value);)),
            _ => None,
        };
        infallible.unwrap_or_else(|| {
            let encode = self.encode(ty, value, from);
            quote!(#encode.map_err(|error| error.#place)?;)
        })
    }

    /// Returns an expression that encodes `value`, a reference.
    pub(super) fn encode(&self, ty: &Type, value: &TokenStream, from: &Item) -> TokenStream {
        if self.is_direct(ty) {
            return quote!(::avouch_avro::codec::Encode::encode(#value, out));
        }
        match ty {
            Type::Array(items) => {
                let support = self.support_path("encode_array", from);
                let item = self.encode_function(items, from);
                quote!(#support(#value, out, #item))
            }
            Type::Map(values) => {
                let support = self.support_path("encode_map", from);
                let entry = self.encode_function(values, from);
                quote!(#support(#value, out, #entry))
            }
            Type::Single(inner) => {
                let inner = self.encode(inner, value, from);
                quote!({ out.union_index(0); #inner })
            }
            Type::Option(nullable) => self.encode_option(nullable, value, from),
            Type::Logical(Logical::Decimal {
                size: Some(size), ..
            }) => {
                let size = position(*size);
                quote!(::avouch_avro::decimal::ScaledDecimal::encode_fixed::<#size>(#value, out))
            }
            Type::Logical(logical) => {
                let support = self.support_path(&format!("encode_{}", conversion(*logical)), from);
                quote!(#support(#value, out))
            }
            _ => quote!(::avouch_avro::codec::Encode::encode(#value, out)),
        }
    }

    /// Returns a function or closure that encodes an item of an array or map.
    fn encode_function(&self, ty: &Type, from: &Item) -> TokenStream {
        // A closure that only calls a function is that function.
        if let Type::Logical(logical) = ty
            && is_converted(*logical)
        {
            return self.support_path(&format!("encode_{}", conversion(*logical)), from);
        }
        if let Type::Logical(Logical::Decimal {
            size: Some(size), ..
        }) = ty
        {
            let size = position(*size);
            return quote!(::avouch_avro::decimal::ScaledDecimal::encode_fixed::<#size>);
        }
        let item = self.encode(ty, &quote!(item), from);
        quote!(|item, out| #item)
    }

    /// Returns a function or closure that decodes an item of an array or map.
    fn decode_function(&self, ty: &Type, from: &Item, form: Form) -> TokenStream {
        if let Type::Logical(logical) = ty
            && is_converted(*logical)
        {
            return self.support_path(&format!("decode_{}", conversion(*logical)), from);
        }
        if let Type::Logical(Logical::Decimal {
            size: Some(size), ..
        }) = ty
        {
            let size = position(*size);
            return quote!(::avouch_avro::decimal::ScaledDecimal::decode_fixed::<#size>);
        }
        let item = self.decode(ty, from, form);
        quote!(|input| #item)
    }

    fn encode_option(&self, nullable: &Nullable, value: &TokenStream, from: &Item) -> TokenStream {
        let null = position(nullable.null);
        if nullable.some.is_some() && self.is_direct(&nullable.inner) {
            return quote! {
                ::avouch_avro::codec::encode_option(Option::as_ref(#value), #null, out)
            };
        }
        let some = nullable.some.map(|some| {
            let some = position(some);
            quote!(out.union_index(#some);)
        });
        let inner = self.encode(&nullable.inner, &quote!(value), from);
        quote! {
            match #value {
                None => {
                    out.union_index(#null);
                    Ok(())
                }
                Some(value) => { #some #inner }
            }
        }
    }

    /// Returns an expression that decodes a value, with `place` added to errors and propagated.
    pub(super) fn decode_field(
        &self,
        ty: &Type,
        place: &TokenStream,
        from: &Item,
        form: Form,
    ) -> TokenStream {
        let infallible = match ty {
            Type::Null => return quote!(()),
            Type::Boolean => Some(quote!(input.boolean())),
            Type::Int => Some(quote!(input.int())),
            Type::Long => Some(quote!(input.long())),
            Type::Float => Some(quote!(input.float())),
            Type::Double => Some(quote!(input.double())),
            Type::Bytes if form == Form::Borrowed => Some(quote!(input.bytes())),
            Type::String if form == Form::Borrowed => Some(quote!(input.string())),
            _ => None,
        };
        let decode = infallible.unwrap_or_else(|| self.decode(ty, from, form));
        quote!(#decode.map_err(|error| error.#place)?)
    }

    /// Returns an expression that decodes a value.
    pub(super) fn decode(&self, ty: &Type, from: &Item, form: Form) -> TokenStream {
        if self.is_direct(ty) {
            return quote!(::avouch_avro::codec::Decode::decode(input));
        }
        match ty {
            Type::Array(items) => {
                let support = self.support_path("decode_array", from);
                let item = self.decode_function(items, from, form);
                quote!(#support(input, #item))
            }
            Type::Map(values) => {
                let support = self.support_path("decode_map", from);
                let entry = self.decode_function(values, from, form);
                quote!(#support(input, #entry))
            }
            Type::Single(inner) => {
                let inner = self.decode(inner, from, form);
                quote! {
                    match input.union_index(1) {
                        Err(error) => Err(error),
                        Ok(_) => #inner,
                    }
                }
            }
            Type::Option(nullable) => self.decode_option(nullable, from, form),
            Type::Logical(Logical::Decimal {
                size: Some(size), ..
            }) => {
                let size = position(*size);
                quote!(::avouch_avro::decimal::ScaledDecimal::decode_fixed::<#size>(input))
            }
            Type::Logical(logical) => {
                let support = self.support_path(&format!("decode_{}", conversion(*logical)), from);
                quote!(#support(input))
            }
            _ => quote!(::avouch_avro::codec::Decode::decode(input)),
        }
    }

    fn decode_option(&self, nullable: &Nullable, from: &Item, form: Form) -> TokenStream {
        let (count, null) = (position(nullable.count), position(nullable.null));
        if nullable.some.is_some() && self.is_direct(&nullable.inner) {
            return quote!(::avouch_avro::codec::decode_option(#null, input));
        }
        let (pattern, inner) = match (nullable.some, &nullable.inner) {
            (None, Type::Item(union)) => {
                let path = self.item_path(*union, from, form);
                (quote!(index), quote!(#path::decode_branch(index, input)))
            }
            (None, Type::Boxed(union)) => {
                let path = self.item_path(*union, from, form);
                let branch = quote!(#path::decode_branch(index, input));
                // As the codec decodes a box: one level of nesting.
                let boxed = quote!(input.enter().and_then(|()| {
                    let value = #branch;
                    input.leave();
                    value.map(Box::new)
                }));
                (quote!(index), boxed)
            }
            _ => (quote!(_), self.decode(&nullable.inner, from, form)),
        };
        quote! {
            match input.union_index(#count) {
                Err(error) => Err(error),
                Ok(#null) => Ok(None),
                Ok(#pattern) => #inner.map(Some),
            }
        }
    }
}

/// Returns true if functions of the output convert the values.
fn is_converted(logical: Logical) -> bool {
    use Logical::{BigDecimal, Decimal, Duration};
    !matches!(logical, Decimal { .. } | BigDecimal | Duration)
}

/// Returns the name of a logical type in the names of its conversion functions.
fn conversion(logical: Logical) -> &'static str {
    match logical {
        Logical::UuidString => "uuid_string",
        Logical::UuidFixed => "uuid_fixed",
        other => other.time_name().unwrap_or("decimal"),
    }
}
