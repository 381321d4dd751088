//! Unions of several types: an enum with one variant for each branch other than null.

use proc_macro2::TokenStream;
use quote::quote;

use super::named::codec_impls;
use super::types::position;
use super::{Emitter, Form};
use crate::model::{Branch, Item, Type, Union};
use crate::names::ident;

impl Emitter<'_> {
    pub(super) fn union(&self, item: &Item, union: &Union) -> Vec<TokenStream> {
        let mut code = Vec::new();
        for form in self.forms(item) {
            let attributes = self.attributes(item, form);
            let name = self.own_type(item, form);
            let variants = union.branches.iter().map(|branch| {
                let doc = format!(" Branch `{}`.", branch.label);
                let variant = ident(&branch.name);
                let ty = self.ty(&branch.ty, item, form);
                quote!(#[doc = #doc] #variant(#ty))
            });
            code.push(quote! {
                #attributes
                #[allow(clippy::enum_variant_names, clippy::large_enum_variant)]
                pub enum #name { #(#variants),* }
            });
            let encode = self.encode_branches(item, union, form);
            let count = position(union.count);
            let decode = quote! {
                let index = input.union_index(#count)?;
                Self::decode_branch(index, input)
            };
            code.extend(codec_impls(&name, form, &encode, &decode));
            code.push(self.decode_branch(item, union, form));
        }
        code.extend(self.conversions(item, union));
        code
    }

    fn encode_branches(&self, item: &Item, union: &Union, form: Form) -> TokenStream {
        let arms = union.branches.iter().map(|branch| {
            let variant = ident(&branch.name);
            let index = position(branch.index);
            let value = quote!(value);
            let encode = self.encode_statement(&branch.ty, &value, &place(branch), item);
            // A null in a union of one branch within this one has no bytes.
            let pattern = match (&branch.ty, form) {
                (Type::Null, _) => quote!(_),
                _ => quote!(value),
            };
            quote!(Self::#variant(#pattern) => { out.union_index(#index); #encode })
        });
        quote! {
            match self { #(#arms)* }
            Ok(())
        }
    }

    /// Returns the function that decodes a value after its index.
    fn decode_branch(&self, item: &Item, union: &Union, form: Form) -> TokenStream {
        let name = self.own_type(item, form);
        let borrows = form == Form::Borrowed;
        let (generics, own) = match borrows {
            true => (quote!(<'de>), quote!()),
            false => (quote!(), quote!(<'de>)),
        };
        let mut arms: Vec<TokenStream> = Vec::new();
        for branch in &union.branches {
            let variant = ident(&branch.name);
            let index = position(branch.index);
            let value = self.decode_field(&branch.ty, &place(branch), item, form);
            arms.push(quote!(#index => Ok(Self::#variant(#value))));
        }
        quote! {
            impl #generics #name {
                /// Reads the value of the branch with this index.
                ///
                /// # Errors
                /// If the bytes are not a value of the branch.
                pub fn decode_branch #own (
                    index: u32,
                    input: &mut ::avouch_avro::codec::Decoder<'de>,
                ) -> Result<Self, ::avouch_avro::codec::DecodeError> {
                    match index {
                        #(#arms,)*
                        _ => Err(input.value_error("the branch has no variant")),
                    }
                }
            }
        }
    }

    /// Returns `From` for the types of which only one branch has them.
    fn conversions(&self, item: &Item, union: &Union) -> Vec<TokenStream> {
        let rust = |branch: &Branch| self.ty(&branch.ty, item, Form::Owned).to_string();
        let types: Vec<String> = union.branches.iter().map(rust).collect();
        let name = ident(&item.name);
        // A type of the user may be one of the others under another name.
        if union
            .branches
            .iter()
            .any(|branch| matches!(branch.ty, Type::External(_)))
        {
            return Vec::new();
        }
        // Two branches of one Rust type, such as bytes and a large decimal, would conflict.
        let is_unique = |rust| types.iter().filter(|other| *other == rust).count() == 1;
        let unique = union
            .branches
            .iter()
            .zip(&types)
            .filter(|(_, rust)| is_unique(*rust));
        let conversion = |(branch, _): (&Branch, &String)| {
            let variant = ident(&branch.name);
            let ty = self.ty(&branch.ty, item, Form::Owned);
            quote! {
                impl From<#ty> for #name {
                    fn from(value: #ty) -> Self {
                        Self::#variant(value)
                    }
                }
            }
        };
        unique.map(conversion).collect()
    }
}

fn place(branch: &Branch) -> TokenStream {
    let label = &branch.label;
    quote!(in_branch(#label))
}
