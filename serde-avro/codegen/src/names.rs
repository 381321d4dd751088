//! Rust identifiers from Avro names: cases, keywords, and names that are equal in Rust only.
//!
//! A name depends only on the Avro names of its scope, so that the output is stable.

use std::collections::BTreeSet;

use heck::{ToSnakeCase as _, ToUpperCamelCase as _};
use proc_macro2::{Ident, Span};

/// Names of types that generated code uses without a path, and macros and keywords of types.
const RESERVED_TYPES: [&str; 14] = [
    "BTreeMap", "Box", "Default", "Err", "From", "Into", "None", "Ok", "Option", "Result", "Self",
    "Some", "String", "Vec",
];

/// Keywords that cannot be raw identifiers.
const NEVER_RAW: [&str; 5] = ["_", "crate", "self", "super", "Self"];

/// The names of one module, record or enum that are already used.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    used: BTreeSet<String>,
}

impl Scope {
    /// Reserves a name, if it is not used yet.
    pub(crate) fn reserve(&mut self, name: &str) {
        self.used.insert(name.to_owned());
    }

    /// Returns `name`, with a number from 2 if it is used, and reserves the result.
    pub(crate) fn claim(&mut self, name: &str) -> String {
        // A digit at the end would change the number of another name: `a1` and `1` give `a11`.
        let separator = match name.ends_with(|last: char| last.is_ascii_digit()) {
            true => "_",
            false => "",
        };
        let mut free = name.to_owned();
        let mut number = 2;
        while !self.used.insert(free.clone()) {
            free = format!("{name}{separator}{number}");
            number += 1;
        }
        free
    }
}

/// Returns the name of a type or variant in upper camel case.
pub(crate) fn type_name(avro: &str) -> String {
    // An Avro name can consist of underscores, which the case removes.
    let name = letter_first(avro.to_upper_camel_case(), 'N');
    match RESERVED_TYPES.contains(&name.as_str()) {
        true => format!("{name}_"),
        false => name,
    }
}

/// Returns the name of a field or module in snake case, without the prefix of a raw identifier.
pub(crate) fn value_name(avro: &str) -> String {
    let name = letter_first(avro.to_snake_case(), 'n');
    match NEVER_RAW.contains(&name.as_str()) {
        true => format!("{name}_"),
        false => name,
    }
}

/// Returns the name, with `prefix` if it is empty or starts with a digit, as `_1` does in every
/// case.
fn letter_first(name: String, prefix: char) -> String {
    match name.starts_with(|first: char| first.is_ascii_alphabetic()) {
        true => name,
        false => format!("{prefix}{name}"),
    }
}

/// Returns the identifier of a name, raw if the name is a keyword.
pub(crate) fn ident(name: &str) -> Ident {
    match syn::parse_str::<Ident>(name) {
        // A keyword since edition 2024, which syn accepts.
        Ok(ident) if name != "gen" => ident,
        _ => Ident::new_raw(name, Span::call_site()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_cases_of_rust() {
        let table = [
            ("firstName", "FirstName", "first_name"),
            ("HTTPServer", "HttpServer", "http_server"),
            ("type", "Type", "type"),
            ("self", "Self_", "self_"),
            ("_", "N", "n"),
            ("_1", "N1", "n1"),
            ("option", "Option_", "option"),
            ("a__b", "AB", "a_b"),
        ];
        for (avro, upper, snake) in table {
            assert_eq!(
                (type_name(avro), value_name(avro)),
                (upper.into(), snake.into())
            );
        }
    }

    #[test]
    fn keywords_are_raw_identifiers() {
        assert_eq!(ident("type").to_string(), "r#type");
        assert_eq!(ident("gen").to_string(), "r#gen");
        assert_eq!(ident("union").to_string(), "union");
        assert_eq!(ident("self_").to_string(), "self_");
    }

    #[test]
    fn equal_names_receive_numbers() {
        let mut scope = Scope::default();
        let claimed = ["a", "a", "a2", "a", "b1", "b1"].map(|name| scope.claim(name));
        assert_eq!(claimed, ["a", "a2", "a2_2", "a3", "b1", "b1_2"]);
    }
}
