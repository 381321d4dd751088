//! The attributes `#[avro(...)]` and the documentation of a type, field or variant.

use heck::{
    ToLowerCamelCase as _, ToShoutySnakeCase as _, ToSnakeCase as _, ToUpperCamelCase as _,
};
use syn::{Attribute, Expr, ExprLit, Lit, LitStr, Meta};

/// The attributes of one item.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) name: Option<LitStr>,
    pub(crate) namespace: Option<LitStr>,
    pub(crate) subject: Option<LitStr>,
    pub(crate) rename_all: Option<LitStr>,
    pub(crate) default: Option<LitStr>,
    pub(crate) docs: Vec<String>,
}

impl Attributes {
    /// Reads the attributes of an item that may have those of `allowed`.
    pub(crate) fn read(attributes: &[Attribute], allowed: &[&str]) -> syn::Result<Self> {
        let mut read = Self::default();
        for attribute in attributes {
            if let Some(line) = documentation(attribute) {
                read.docs.push(line);
            }
            if !attribute.path().is_ident("avro") {
                continue;
            }
            attribute.parse_nested_meta(|meta| {
                let name = meta.path.get_ident().map(ToString::to_string);
                let name = name.filter(|name| allowed.contains(&name.as_str()));
                let place = match name.as_deref() {
                    Some("name") => &mut read.name,
                    Some("namespace") => &mut read.namespace,
                    Some("subject") => &mut read.subject,
                    Some("rename_all") => &mut read.rename_all,
                    Some("default") => &mut read.default,
                    _ => return Err(meta.error(format!("expected one of {}", allowed.join(", ")))),
                };
                *place = Some(meta.value()?.parse()?);
                Ok(())
            })?;
        }
        Ok(read)
    }

    /// Returns the name in the schema of a field or symbol with the Rust name `own`.
    pub(crate) fn name_of(&self, own: &str, container: &Self) -> syn::Result<String> {
        // A raw identifier is the same name in the schema.
        let own = own.trim_start_matches("r#");
        let name = match (&self.name, &container.rename_all) {
            (Some(name), _) => name.value(),
            (None, Some(case)) => renamed(own, case)?,
            (None, None) => own.to_owned(),
        };
        match is_name(&name) {
            true => Ok(name),
            false => Err(self.error(&format!("{name:?} is not an Avro name"))),
        }
    }

    fn error(&self, message: &str) -> syn::Error {
        let span = self
            .name
            .as_ref()
            .map_or_else(proc_macro2::Span::call_site, LitStr::span);
        syn::Error::new(span, message)
    }

    /// Returns the full name of a type with the Rust name `own`.
    pub(crate) fn full_name(&self, own: &str) -> syn::Result<String> {
        let name = self.name_of(own, &Self::default())?;
        let Some(namespace) = &self.namespace else {
            return Ok(name);
        };
        let space = namespace.value();
        match space.split('.').all(is_name) {
            true => Ok(format!("{space}.{name}")),
            false => Err(syn::Error::new(
                namespace.span(),
                "expected names with dots between them",
            )),
        }
    }

    /// Returns the member `doc` of a JSON object, with a comma after it, or nothing.
    pub(crate) fn doc_member(&self) -> String {
        match self.docs.is_empty() {
            true => String::new(),
            false => format!("\"doc\":{},", json_string(&self.docs.join("\n"))),
        }
    }
}

/// Returns the JSON of a string.
pub(crate) fn json_string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn documentation(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(meta) = &attribute.meta else {
        return None;
    };
    match (&meta.value, meta.path.is_ident("doc")) {
        (
            Expr::Lit(ExprLit {
                lit: Lit::Str(line),
                ..
            }),
            true,
        ) => Some(line.value().trim().to_owned()),
        _ => None,
    }
}

fn renamed(name: &str, case: &LitStr) -> syn::Result<String> {
    match case.value().as_str() {
        "camelCase" => Ok(name.to_lower_camel_case()),
        "PascalCase" => Ok(name.to_upper_camel_case()),
        "snake_case" => Ok(name.to_snake_case()),
        "SCREAMING_SNAKE_CASE" => Ok(name.to_shouty_snake_case()),
        _ => Err(syn::Error::new(
            case.span(),
            "expected camelCase, PascalCase, snake_case or SCREAMING_SNAKE_CASE",
        )),
    }
}

fn is_name(name: &str) -> bool {
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    name.starts_with(is_start) && name.chars().all(|c| is_start(c) || c.is_ascii_digit())
}
