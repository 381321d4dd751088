//! What requests bring: query parameters and bodies, read leniently where clients are sloppy.

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::web::Query;
use actix_web::{FromRequest, HttpRequest};
use avouch_registry_api::rest::SchemaBody;
use serde::de::DeserializeOwned;

use crate::decide::content::Format;
use crate::decide::subject::{DEFAULT_CONTEXT, Subject, Visibility};
use crate::decide::tags;
use crate::error::RegistryError;
use crate::store::Page;

/// Characters of a parameter's value that a log line shows.
const SHOWN_CHARS: usize = 32;

/// The query string. Unknown parameters are ignored, as Confluent's clients expect; of one given
/// twice the first counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Those of a query string; none if it cannot be read.
    pub(crate) fn of(query: &str) -> Self {
        let parsed = Query::<Vec<(String, String)>>::from_query(query);
        parsed.map(|Query(pairs)| Self(pairs)).unwrap_or_default()
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.texts(name).next()
    }

    /// The value of a parameter that has one; an empty one is none.
    pub(crate) fn filled(&self, name: &str) -> Option<&str> {
        self.text(name).filter(|value| !value.is_empty())
    }

    /// The values of a parameter that may be given many times.
    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = &str> {
        let given = self.0.iter().filter(move |(given, _)| given == name);
        given.map(|(_, value)| value.as_str())
    }

    /// `true` in any case; everything else, and nothing, is false. Python clients send `True`.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.text(name)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Whether nothing but these was given.
    pub(crate) fn are_among(&self, names: &[&str]) -> bool {
        self.0
            .iter()
            .all(|(given, _)| names.contains(&given.as_str()))
    }

    /// `offset` and `limit`; a limit below 1 is none.
    pub(crate) fn page(&self) -> Page {
        let number = |name| self.text(name).and_then(|value| value.parse::<i64>().ok());
        Page {
            offset: number("offset").unwrap_or(0).max(0),
            limit: number("limit")
                .filter(|&limit| limit > 0)
                .unwrap_or(i64::MAX),
        }
    }

    /// `deleted` and `deletedOnly`.
    pub(crate) fn visibility(&self) -> Visibility {
        Visibility::of(self.flag("deleted"), self.flag("deletedOnly"))
    }

    /// `subject`, when it names one.
    pub(crate) fn subject(&self) -> Option<Subject> {
        self.filled("subject").map(Subject::existing)
    }

    /// Tells the tags in the text that `findTags` asks for; `*` is all of them.
    pub(crate) fn with_tags(&self, body: SchemaBody) -> SchemaBody {
        let wanted: Vec<&str> = self.texts("findTags").collect();
        if wanted.is_empty() {
            return body;
        }
        let mut schema_tags = tags::found(&body.schema);
        if !wanted.contains(&"*") {
            let asked_for = |tag: &String| wanted.contains(&tag.as_str());
            schema_tags.retain(|place| place.tags.iter().any(asked_for));
        }
        SchemaBody {
            schema_tags,
            ..body
        }
    }

    /// `referenceFormat`: when it is `qualified`, the references of a schema outside the default
    /// context name theirs.
    pub(crate) fn with_references(&self, context: &str, mut body: SchemaBody) -> SchemaBody {
        let is_qualified = self.text("referenceFormat") == Some("qualified");
        if is_qualified && context != DEFAULT_CONTEXT {
            for reference in &mut body.references {
                reference.subject = Subject::within(context, &reference.subject).name;
            }
        }
        body
    }

    /// `format`; one that is not known is the default, as Confluent has it.
    pub(crate) fn format(&self) -> Format {
        match self.filled("format").map(str::trim) {
            Some("resolved") => Format::Resolved,
            Some("" | "default") | None => Format::Kept,
            Some(format) => {
                let format: String = format.chars().take(SHOWN_CHARS).collect();
                tracing::warn!(
                    format,
                    "an unknown format; the schema is told as it is kept"
                );
                Format::Kept
            }
        }
    }
}

impl FromRequest for Params {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request.query_string())))
    }
}

/// Reads a JSON object.
///
/// # Errors
/// Nothing or `null` is [`RegistryError::BodyMissing`]; what is no object of this shape is
/// [`RegistryError::BadRequest`].
pub(crate) fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, RegistryError> {
    let text = bytes.trim_ascii();
    if matches!(text, b"" | b"null") {
        return Err(RegistryError::BodyMissing);
    }
    if !text.starts_with(b"{") {
        return Err(RegistryError::BadRequest(
            "The request body must be an object".to_owned(),
        ));
    }
    serde_json::from_slice(text).map_err(|error| RegistryError::BadRequest(error.to_string()))
}
