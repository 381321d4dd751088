//! `include_avro!`: the arguments, and the generated types with the files that they depend on.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use avouch_codegen::files::is_schema;
use avouch_codegen::{Generator, TimeCrate};
use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Ident, LitStr, Token};

/// The arguments.
pub(crate) struct Include {
    paths: Vec<LitStr>,
    generator: Generator,
}

impl Parse for Include {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let mut paths = Vec::new();
        let mut generator = Generator::new();
        while !input.is_empty() {
            if input.peek(LitStr) {
                paths.push(input.parse()?);
            } else {
                generator = option(input, generator)?;
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        if paths.is_empty() {
            return Err(input.error("expected the path of a schema file"));
        }
        Ok(Self { paths, generator })
    }
}

fn option(input: ParseStream<'_>, generator: Generator) -> syn::Result<Generator> {
    let name: Ident = input.parse()?;
    if name == "borrowed" {
        return Ok(generator.borrowed(true));
    }
    if name != "time" {
        return Err(syn::Error::new(
            name.span(),
            "expected a path, `borrowed` or `time`",
        ));
    }
    input.parse::<Token![=]>()?;
    let value: Ident = input.parse()?;
    let time = match value.to_string().as_str() {
        "jiff" => TimeCrate::Jiff,
        "chrono" => TimeCrate::Chrono,
        "time" => TimeCrate::Time,
        "raw" => TimeCrate::Raw,
        _ => {
            let expected = "expected `jiff`, `chrono`, `time` or `raw`";
            return Err(syn::Error::new(value.span(), expected));
        }
    };
    Ok(generator.time(time))
}

impl Include {
    /// Returns the types.
    ///
    /// # Errors
    /// If a file cannot be read, or its schema has no types in Rust.
    pub(crate) fn expand(&self) -> syn::Result<TokenStream> {
        // Cargo sets it for the crate that calls the macro.
        let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
        let paths: Vec<PathBuf> = self
            .paths
            .iter()
            .map(|path| root.join(path.value()))
            .collect();
        let failed = |error: &dyn std::error::Error| syn::Error::new(self.paths[0].span(), error);
        let code = self
            .generator
            .generate_files(&paths)
            .map_err(|error| failed(&error))?;
        // A macro returns tokens, and the generator formatted text.
        let types: TokenStream = code.parse().map_err(|error| failed(&error))?;
        let mut files = Vec::new();
        for path in &paths {
            schema_files(path, &mut files).map_err(|error| failed(&error))?;
        }
        // Makes the compiler track the files.
        let tracked = files.iter().filter_map(|file| file.to_str()).map(|file| {
            let file = LitStr::new(file, Span::call_site());
            quote!(
                const _: &[u8] = include_bytes!(#file);
            )
        });
        Ok(quote!(#(#tracked)* #types))
    }
}

/// Adds a file, or the schema files of a folder.
fn schema_files(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() || is_schema(&path) {
            schema_files(&path, files)?;
        }
    }
    files.sort();
    Ok(())
}
