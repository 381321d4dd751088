//! `derive(AvroType)`: the schema, the codec and the trait of a Rust type.

use proc_macro2::TokenStream;
use quote::quote;
use syn::spanned::Spanned as _;
use syn::{Data, DataEnum, DataStruct, DeriveInput, Fields, Ident, Lifetime, Type};

use crate::attributes::{Attributes, json_string};

const OF_RECORD: [&str; 4] = ["name", "namespace", "subject", "rename_all"];
const OF_ENUM: [&str; 5] = ["name", "namespace", "subject", "rename_all", "default"];
const OF_FIELD: [&str; 2] = ["name", "default"];
const OF_VARIANT: [&str; 1] = ["name"];

/// The parts of the implementations that depend on the kind of the type.
struct Parts {
    /// Statements that write the schema to `out`.
    schema: TokenStream,
    encode: TokenStream,
    decode: TokenStream,
}

/// Returns the implementations.
///
/// # Errors
/// If the type or an attribute has no meaning in Avro.
pub(crate) fn expand(input: &DeriveInput) -> syn::Result<TokenStream> {
    let (name, lifetime) = (&input.ident, lifetime(input)?);
    let (attributes, parts) = parts(input)?;
    let full_name = attributes.full_name(&name.to_string())?;
    let subject = attributes.subject.map(|subject| {
        quote!(const SUBJECT: ::core::option::Option<&'static str> =
            ::core::option::Option::Some(#subject);)
    });
    // A type without borrowed parts is decoded from data of any lifetime.
    let (de, new_lifetime) = match &lifetime {
        Some(lifetime) => (quote!(#lifetime), quote!(<#lifetime>)),
        // The name cannot clash: the type has no lifetime of its own.
        None => (quote!('de), quote!(<'de>)),
    };
    let (any, of_de, of_static) = match &lifetime {
        Some(lifetime) => (quote!(<'_>), quote!(<#lifetime>), quote!(<'static>)),
        None => (quote!(), quote!(), quote!()),
    };
    let Parts {
        schema,
        encode,
        decode,
    } = parts;
    Ok(quote! {
        #[automatically_derived]
        impl #of_de ::avouch_avro::codec::SchemaComponent for #name #of_de {
            fn write_schema(out: &mut ::avouch_avro::codec::SchemaWriter) {
                #schema
            }
        }
        #[automatically_derived]
        impl ::avouch_avro::codec::AvroType for #name #any {
            const FULL_NAME: &'static str = #full_name;
            #subject
            fn schema() -> &'static ::avouch_avro::Schema {
                static SCHEMA: ::std::sync::LazyLock<::avouch_avro::Schema> =
                    ::std::sync::LazyLock::new(|| {
                        ::avouch_avro::codec::schema_of::<#name #of_static>()
                            .expect(concat!("the schema of ", stringify!(#name)))
                    });
                &SCHEMA
            }
        }
        #[automatically_derived]
        impl ::avouch_avro::codec::Encode for #name #any {
            fn encode(
                &self,
                out: &mut ::avouch_avro::codec::Encoder,
            ) -> ::core::result::Result<(), ::avouch_avro::codec::EncodeError> {
                #encode
            }
        }
        #[automatically_derived]
        impl #new_lifetime ::avouch_avro::codec::Decode<#de> for #name #of_de {
            fn decode(
                input: &mut ::avouch_avro::codec::Decoder<#de>,
            ) -> ::core::result::Result<Self, ::avouch_avro::codec::DecodeError> {
                #decode
            }
        }
    })
}

fn parts(input: &DeriveInput) -> syn::Result<(Attributes, Parts)> {
    let name = &input.ident;
    match &input.data {
        Data::Struct(data) => {
            let attributes = Attributes::read(&input.attrs, &OF_RECORD)?;
            let parts = record(name, data, &attributes)?;
            Ok((attributes, parts))
        }
        Data::Enum(data) => {
            let attributes = Attributes::read(&input.attrs, &OF_ENUM)?;
            let parts = enumeration(name, data, &attributes)?;
            Ok((attributes, parts))
        }
        Data::Union(_) => {
            let message = "expected a struct or an enum";
            Err(syn::Error::new(name.span(), message))
        }
    }
}

/// Returns the lifetime parameter.
fn lifetime(input: &DeriveInput) -> syn::Result<Option<Lifetime>> {
    let mut lifetimes = input.generics.lifetimes();
    let lifetime = lifetimes.next().map(|parameter| parameter.lifetime.clone());
    if lifetimes.next().is_some() || input.generics.params.len() > usize::from(lifetime.is_some()) {
        let message = "expected no type parameters and at most one lifetime";
        return Err(syn::Error::new(input.generics.span(), message));
    }
    Ok(lifetime)
}

fn record(name: &Ident, data: &DataStruct, attributes: &Attributes) -> syn::Result<Parts> {
    let Fields::Named(fields) = &data.fields else {
        let message = "expected named fields, which become the fields of a record";
        return Err(syn::Error::new(name.span(), message));
    };
    let full_name = attributes.full_name(&name.to_string())?;
    let head = format!(
        "{{\"type\":\"record\",\"name\":\"{full_name}\",{}\"fields\":[",
        attributes.doc_member()
    );
    let (mut members, mut encode, mut decode) = (Vec::new(), Vec::new(), Vec::new());
    // The text between two types is one literal: fewer calls at run time.
    let mut separator = "";
    for field in &fields.named {
        let Some(ident) = &field.ident else { continue };
        let own = Attributes::read(&field.attrs, &OF_FIELD)?;
        let avro = own.name_of(&ident.to_string(), attributes)?;
        let before = format!(
            "{separator}{{\"name\":\"{avro}\",{}\"type\":",
            own.doc_member()
        );
        let after = match default(&own, &field.ty)? {
            Some(default) => format!(",\"default\":{default}}}"),
            None => "}".to_owned(),
        };
        separator = ",";
        let ty = &field.ty;
        members.push(quote! {
            out.json(#before);
            <#ty as ::avouch_avro::codec::SchemaComponent>::write_schema(out);
            out.json(#after);
        });
        encode.push(quote! {
            ::avouch_avro::codec::Encode::encode(&self.#ident, out)
                .map_err(|error| error.in_field(#avro))?;
        });
        decode.push(quote! {
            #ident: ::avouch_avro::codec::Decode::decode(input)
                .map_err(|error| error.in_field(#avro))?
        });
    }
    Ok(Parts {
        schema: quote! {
            out.define(#full_name, |out| {
                out.json(#head);
                #(#members)*
                out.json("]}");
            });
        },
        encode: quote!(#(#encode)* ::core::result::Result::Ok(())),
        decode: quote!(::core::result::Result::Ok(Self { #(#decode),* })),
    })
}

/// Returns the default of a field as JSON.
fn default(attributes: &Attributes, ty: &Type) -> syn::Result<Option<String>> {
    let Some(text) = &attributes.default else {
        return Ok(is_option(ty).then(|| "null".to_owned()));
    };
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(&text.value());
    let invalid = |error| syn::Error::new(text.span(), format!("the default is not JSON: {error}"));
    parsed.map(|value| Some(value.to_string())).map_err(invalid)
}

/// Returns true for a path that ends with `Option`; a macro does not see aliases.
fn is_option(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|last| last.ident == "Option"),
        _ => false,
    }
}

fn enumeration(name: &Ident, data: &DataEnum, attributes: &Attributes) -> syn::Result<Parts> {
    if data.variants.is_empty() {
        return Err(syn::Error::new(
            name.span(),
            "expected at least one variant",
        ));
    }
    if data
        .variants
        .iter()
        .all(|variant| variant.fields.is_empty())
    {
        symbols(name, data, attributes)
    } else {
        union(data, attributes)
    }
}

fn symbols(name: &Ident, data: &DataEnum, attributes: &Attributes) -> syn::Result<Parts> {
    let full_name = attributes.full_name(&name.to_string())?;
    let mut symbols = Vec::new();
    for variant in &data.variants {
        let own = Attributes::read(&variant.attrs, &OF_VARIANT)?;
        symbols.push(own.name_of(&variant.ident.to_string(), attributes)?);
    }
    let default = match &attributes.default {
        Some(default) if !symbols.contains(&default.value()) => {
            return Err(syn::Error::new(
                default.span(),
                "the default is not a symbol",
            ));
        }
        Some(default) => format!(",\"default\":{}", json_string(&default.value())),
        None => String::new(),
    };
    let list: Vec<String> = symbols.iter().map(|symbol| json_string(symbol)).collect();
    let json = format!(
        "{{\"type\":\"enum\",\"name\":\"{full_name}\",{}\"symbols\":[{}]{default}}}",
        attributes.doc_member(),
        list.join(",")
    );
    let count = position(symbols.len());
    let variants: Vec<_> = data.variants.iter().map(|variant| &variant.ident).collect();
    let indexes = (0..symbols.len()).map(position);
    let decoded = arms(&variants, |variant| quote!(Self::#variant));
    Ok(Parts {
        schema: quote!(out.define(#full_name, |out| out.json(#json));),
        encode: quote! {
            out.enum_index(match self { #(Self::#variants => #indexes),* });
            ::core::result::Result::Ok(())
        },
        decode: quote! {
            ::core::result::Result::Ok(match input.enum_index(#count)? { #decoded })
        },
    })
}

fn union(data: &DataEnum, attributes: &Attributes) -> syn::Result<Parts> {
    if let Some(default) = &attributes.default {
        return Err(syn::Error::new(
            default.span(),
            "a union has no default of its own",
        ));
    }
    let (mut branches, mut encode, mut decode) = (Vec::new(), Vec::new(), Vec::new());
    for (index, variant) in data.variants.iter().enumerate() {
        // Branches have no names of their own.
        Attributes::read(&variant.attrs, &[])?;
        let (ident, index) = (&variant.ident, position(index));
        // Not before the first branch.
        let comma = (!branches.is_empty()).then(|| quote!(out.json(",");));
        let ty = match &variant.fields {
            Fields::Unit => {
                branches.push(quote!(#comma out.json("\"null\"");));
                encode.push(quote!(Self::#ident => {
                    out.union_index(#index);
                    ::core::result::Result::Ok(())
                }));
                decode.push(quote!(Self::#ident));
                continue;
            }
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => &fields.unnamed[0].ty,
            _ => {
                let message = "expected one value, the branch of a union, or none, which is null";
                return Err(syn::Error::new(ident.span(), message));
            }
        };
        branches.push(quote! {
            #comma <#ty as ::avouch_avro::codec::SchemaComponent>::write_schema(out);
        });
        encode.push(quote!(Self::#ident(value) => {
            out.union_index(#index);
            ::avouch_avro::codec::Encode::encode(value, out)
        }));
        decode.push(quote!(Self::#ident(::avouch_avro::codec::Decode::decode(input)?)));
    }
    let count = position(data.variants.len());
    let decoded = arms(&decode, |value| quote!(#value));
    Ok(Parts {
        schema: quote!(out.json("["); #(#branches)* out.json("]");),
        encode: quote!(match self { #(#encode),* }),
        decode: quote! {
            ::core::result::Result::Ok(match input.union_index(#count)? { #decoded })
        },
    })
}

/// Returns the arms of a match over indexes below their number. The last one takes all others.
fn arms<T>(values: &[T], value: impl Fn(&T) -> TokenStream) -> TokenStream {
    // The decoder rejects indexes beyond the last, which the compiler does not see.
    let last = values.len().saturating_sub(1);
    let arms = values.iter().enumerate().map(|(index, found)| {
        let (index_pattern, value) = (position(index), value(found));
        match index == last {
            true => quote!(_ => #value),
            false => quote!(#index_pattern => #value),
        }
    });
    quote!(#(#arms),*)
}

fn position(index: usize) -> proc_macro2::Literal {
    let index = u32::try_from(index).unwrap_or(u32::MAX);
    proc_macro2::Literal::u32_unsuffixed(index)
}
