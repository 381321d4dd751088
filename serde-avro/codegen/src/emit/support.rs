//! The conversion functions that the output uses, from the templates in `src/support`.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens as _, quote};

use super::Emitter;
use crate::config::TimeCrate;
use crate::names::ident;

const COLLECTIONS: &str = include_str!("../support/collections.rs");
const UUID: &str = include_str!("../support/uuid.rs");
const JIFF: &str = include_str!("../support/jiff.rs");
const CHRONO: &str = include_str!("../support/chrono.rs");
const TIME: &str = include_str!("../support/time.rs");

impl Emitter<'_> {
    /// Returns the module with the functions that `code` calls, and those that these call.
    pub(super) fn support(&self, code: &TokenStream) -> TokenStream {
        let time = match self.config.time {
            TimeCrate::Jiff => JIFF,
            TimeCrate::Chrono => CHRONO,
            TimeCrate::Time => TIME,
            // Plain numbers need no conversion.
            TimeCrate::Raw => "",
        };
        let templates = [COLLECTIONS, UUID, time]
            .map(|text| syn::parse_file(text).expect("templates are Rust"));
        let items: Vec<(String, syn::Item)> = templates
            .into_iter()
            .flat_map(|file| file.items)
            .filter_map(|item| Some((name(&item)?, item)))
            .collect();
        // Only what the code calls is kept, so that a crate without dates needs no crate for them.
        let mut used = BTreeSet::new();
        words(code, &mut used);
        // A function can call one that comes before it in the templates.
        let mut kept = BTreeSet::new();
        loop {
            let before = kept.len();
            for (name, item) in &items {
                if used.contains(name) && kept.insert(name) {
                    words(&item.to_token_stream(), &mut used);
                }
            }
            if kept.len() == before {
                break;
            }
        }
        if kept.is_empty() {
            return TokenStream::new();
        }
        let kept = items
            .iter()
            .filter(|(name, _)| kept.contains(name))
            .map(|(_, item)| item);
        let module = ident(&self.support);
        quote! {
            #[allow(dead_code)]
            mod #module {
                #[allow(unused_imports)]
                use ::avouch_avro::codec::{DecodeError, Decoder, EncodeError, Encoder};
                #(#kept)*
            }
        }
    }
}

/// Returns the name of a function or constant.
fn name(item: &syn::Item) -> Option<String> {
    match item {
        syn::Item::Fn(function) => Some(function.sig.ident.to_string()),
        syn::Item::Const(constant) => Some(constant.ident.to_string()),
        _ => None,
    }
}

/// Adds all identifiers.
fn words(code: &TokenStream, found: &mut BTreeSet<String>) {
    for token in code.clone() {
        match token {
            TokenTree::Group(group) => words(&group.stream(), found),
            TokenTree::Ident(ident) => {
                found.insert(ident.to_string());
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}
