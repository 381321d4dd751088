//! Enums, fixed types, and wrappers of schemas without a name.

use proc_macro2::{Literal, TokenStream};
use quote::quote;

use super::types::position;
use super::{Emitter, Form};
use crate::model::{Enum, Item, Type};
use crate::names::ident;

impl Emitter<'_> {
    pub(super) fn enumeration(&self, item: &Item, symbols: &Enum) -> Vec<TokenStream> {
        let name = ident(&item.name);
        let docs = super::docs(&item.docs);
        let own = &self.derives;
        let variants = symbols.variants.iter().enumerate();
        let variants = variants.map(|(at, (variant, symbol))| {
            let doc = format!(" Symbol `{symbol}`.");
            let variant = ident(variant);
            let default = (symbols.default == Some(at)).then(|| quote!(#[default]));
            quote!(#[doc = #doc] #default #variant)
        });
        let default = symbols.default.map(|_| quote!(, Default));
        // Symbols often have a common prefix.
        let definition = quote! {
            #docs
            #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash #default #(, #own)*)]
            #[non_exhaustive]
            #[allow(clippy::enum_variant_names)]
            pub enum #name { #(#variants),* }
        };
        let count = position(symbols.variants.len());
        let mut code = vec![definition, self.symbols(item, symbols)];
        code.extend(from_str(item, symbols));
        let (encode, decode) = enum_codec(symbols, &count);
        code.extend(codec_impls(&quote!(#name), Form::Owned, &encode, &decode));
        code
    }

    /// Returns the inherent functions of an enum.
    fn symbols(&self, item: &Item, symbols: &Enum) -> TokenStream {
        let name = ident(&item.name);
        let arms = symbols.variants.iter().map(|(variant, symbol)| {
            let variant = ident(variant);
            quote!(Self::#variant => #symbol)
        });
        let body = match symbols.variants.is_empty() {
            true => quote!(match *self {}),
            false => quote!(match self { #(#arms),* }),
        };
        quote! {
            impl #name {
                /// Returns the symbol in the schema.
                #[must_use]
                pub fn as_str(&self) -> &'static str {
                    #body
                }
            }
        }
    }

    pub(super) fn fixed(&self, item: &Item, size: usize) -> Vec<TokenStream> {
        let name = ident(&item.name);
        let docs = super::docs(&item.docs);
        let own = &self.derives;
        let size = position(size);
        let encode = quote! {
            out.fixed(&self.0);
            Ok(())
        };
        let decode = quote!(input.fixed().map(|bytes| Self(*bytes)));
        let mut code = vec![
            quote! {
                #docs
                #[derive(Clone, Copy, PartialEq, Eq, Hash #(, #own)*)]
                pub struct #name(
                    /// The bytes.
                    pub [u8; #size],
                );
            },
            quote! {
                /// Formats the bytes in hexadecimal.
                impl ::std::fmt::Debug for #name {
                    fn fmt(&self, out: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                        out.write_str(concat!(stringify!(#name), "("))?;
                        for byte in &self.0 {
                            write!(out, "{byte:02x}")?;
                        }
                        out.write_str(")")
                    }
                }
            },
            quote! {
                impl From<[u8; #size]> for #name {
                    fn from(bytes: [u8; #size]) -> Self {
                        Self(bytes)
                    }
                }
            },
        ];
        code.extend(codec_impls(&quote!(#name), Form::Owned, &encode, &decode));
        code
    }

    pub(super) fn wrapper(&self, item: &Item, ty: &Type) -> Vec<TokenStream> {
        let mut code = Vec::new();
        for form in self.forms(item) {
            let attributes = self.attributes(item, form);
            let name = self.own_type(item, form);
            let inner = self.ty(ty, item, form);
            code.push(quote! {
                #attributes
                pub struct #name(
                    /// The value.
                    pub #inner,
                );
            });
            let encode = self.encode(ty, &quote!(&self.0), item);
            let decode = self.decode(ty, item, form);
            code.extend(codec_impls(
                &name,
                form,
                &encode,
                &quote!(#decode.map(Self)),
            ));
        }
        code
    }
}

fn from_str(item: &Item, symbols: &Enum) -> Option<TokenStream> {
    let name = ident(&item.name);
    if symbols.variants.is_empty() {
        return None;
    }
    let arms = symbols.variants.iter().map(|(variant, symbol)| {
        let variant = ident(variant);
        quote!(#symbol => Ok(Self::#variant))
    });
    let (doc, other) = match symbols.default {
        Some(default) => {
            let (variant, symbol) = &symbols.variants[default];
            let variant = ident(variant);
            (
                format!(
                    " Parses a symbol. Unknown symbols are the default of the schema, `{symbol}`."
                ),
                quote!(Ok(Self::#variant)),
            )
        }
        None => (
            " Parses a symbol.".to_owned(),
            quote!(Err(::avouch_avro::codec::EncodeErrorKind::UnknownSymbol)),
        ),
    };
    Some(quote! {
        #[doc = #doc]
        impl ::std::str::FromStr for #name {
            type Err = ::avouch_avro::codec::EncodeErrorKind;

            fn from_str(symbol: &str) -> Result<Self, Self::Err> {
                match symbol { #(#arms,)* _ => #other }
            }
        }
    })
}

/// Returns the bodies of `encode` and `decode`.
fn enum_codec(symbols: &Enum, count: &Literal) -> (TokenStream, TokenStream) {
    let variants: Vec<_> = symbols
        .variants
        .iter()
        .map(|(variant, _)| ident(variant))
        .collect();
    let Some((last, others)) = variants.split_last() else {
        // No value exists, so no index is valid.
        let decode = quote! {
            match input.enum_index(0) {
                Err(error) => Err(error),
                Ok(_) => Err(input.value_error("the enum has no symbols")),
            }
        };
        return (quote!(match *self {}), decode);
    };
    let decode = match others {
        [] => quote!(input.enum_index(#count).map(|_| Self::#last)),
        others => {
            let indexes = (0..others.len()).map(position);
            // The decoder checked that the index is below the count.
            quote! {
                input.enum_index(#count).map(|index| match index {
                    #(#indexes => Self::#others,)*
                    _ => Self::#last,
                })
            }
        }
    };
    let encode = quote! {
        out.enum_index(*self as u32);
        Ok(())
    };
    (encode, decode)
}

/// Returns the implementations of the codec's traits for a type.
pub(super) fn codec_impls(
    name: &TokenStream,
    form: Form,
    encode: &TokenStream,
    decode: &TokenStream,
) -> Vec<TokenStream> {
    let is_generic = form == Form::Borrowed && name.to_string().contains("'de");
    let generics = is_generic.then(|| quote!(<'de>));
    // An empty type uses neither argument.
    let uses = |body: &TokenStream, word: &str| {
        body.clone().into_iter().any(|token| contains(&token, word))
    };
    let out = match uses(encode, "out") {
        true => quote!(out),
        false => quote!(_),
    };
    let input = match uses(decode, "input") {
        true => quote!(input),
        false => quote!(_),
    };
    vec![
        quote! {
            impl #generics ::avouch_avro::codec::Encode for #name {
                fn encode(
                    &self,
                    #out: &mut ::avouch_avro::codec::Encoder,
                ) -> Result<(), ::avouch_avro::codec::EncodeError> {
                    #encode
                }
            }
        },
        quote! {
            impl<'de> ::avouch_avro::codec::Decode<'de> for #name {
                fn decode(
                    #input: &mut ::avouch_avro::codec::Decoder<'de>,
                ) -> Result<Self, ::avouch_avro::codec::DecodeError> {
                    #decode
                }
            }
        },
    ]
}

fn contains(token: &proc_macro2::TokenTree, word: &str) -> bool {
    match token {
        proc_macro2::TokenTree::Group(group) => group
            .stream()
            .into_iter()
            .any(|token| contains(&token, word)),
        proc_macro2::TokenTree::Ident(ident) => ident == word,
        _ => false,
    }
}
