//! Query parameters and request bodies, parsed as leniently as clients require.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderMap};
use actix_web::web::{Bytes, Data, Query};
use actix_web::{FromRequest, HttpRequest};
use avouch_registry_api::rest::SchemaBody;
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use crate::Registry;
use crate::decide::content::Format;
use crate::decide::subject::{DEFAULT_CONTEXT, Subject, Visibility};
use crate::decide::tags;
use crate::error::RegistryError;
use crate::rest::parameters::{Parameter, query};
use crate::store::Page;

/// Maximum length of a parameter's value in a log line, in characters.
const LOGGED_CHARS: usize = 32;

/// The query string. Unknown parameters are ignored, as Confluent's clients expect; the first value
/// of a repeated parameter counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Parses a query string. One that cannot be decoded has no parameters.
    pub(crate) fn of(query: &str) -> Self {
        // A list of pairs, because some parameters are repeated.
        let parsed = Query::<Vec<(String, String)>>::from_query(query);
        parsed.map(|Query(pairs)| Self(pairs)).unwrap_or_default()
    }

    /// Returns the value of a parameter.
    pub(crate) fn text<P: Parameter>(&self, parameter: P) -> Option<&str> {
        self.texts(parameter).next()
    }

    /// Returns the value of a parameter unless it is empty.
    pub(crate) fn non_empty<P: Parameter>(&self, parameter: P) -> Option<&str> {
        self.text(parameter).filter(|value| !value.is_empty())
    }

    /// Returns all values of a parameter that may be repeated.
    pub(crate) fn texts<P: Parameter>(&self, _: P) -> impl Iterator<Item = &str> {
        let values = self.0.iter().filter(|(name, _)| name == P::NAME);
        values.map(|(_, value)| value.as_str())
    }

    /// Returns true for `true` in any case, since Python clients send `True`; false for everything
    /// else.
    pub(crate) fn flag<P: Parameter>(&self, parameter: P) -> bool {
        self.text(parameter)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Returns the number of a parameter; `None` if it is missing or not a number.
    pub(crate) fn number<P: Parameter, N: FromStr>(&self, parameter: P) -> Option<N> {
        self.text(parameter).and_then(|value| value.parse().ok())
    }

    /// Returns true if all parameters of the request are among `names`.
    pub(crate) fn are_among(&self, names: &[&str]) -> bool {
        self.0
            .iter()
            .all(|(name, _)| names.contains(&name.as_str()))
    }

    /// Returns the page that `offset` and `limit` select. A limit below 1 is none.
    pub(crate) fn page(&self) -> Page {
        // Confluent's default of -1 means no limit.
        let limit = self.number(query::Limit).filter(|&limit| limit > 0);
        Page {
            offset: self.number(query::Offset).unwrap_or(0).max(0),
            limit: limit.unwrap_or(i64::MAX),
        }
    }

    /// Returns the versions that `deleted` and `deletedOnly` select.
    pub(crate) fn visibility(&self) -> Visibility {
        Visibility::of(self.flag(query::Deleted), self.flag(query::DeletedOnly))
    }

    /// Returns the subject that an ID is looked up for.
    pub(crate) fn subject(&self) -> Option<Subject> {
        self.non_empty(query::SubjectOfId).map(Subject::existing)
    }

    /// Adds the locations of the tags that `findTags` names; `*` names all of them.
    pub(crate) fn with_tags(&self, body: SchemaBody) -> SchemaBody {
        let wanted: Vec<&str> = self.texts(query::FindTags).collect();
        if wanted.is_empty() {
            return body;
        }
        let mut schema_tags = tags::found(&body.schema);
        if !wanted.contains(&"*") {
            let is_wanted = |tag: &String| wanted.contains(&tag.as_str());
            schema_tags.retain(|place| place.tags.iter().any(is_wanted));
        }
        SchemaBody {
            schema_tags,
            ..body
        }
    }

    /// Adds the context to the subjects of references if `referenceFormat` is `qualified` and the
    /// context is not the default one.
    pub(crate) fn with_references(&self, context: &str, mut body: SchemaBody) -> SchemaBody {
        let is_qualified = self.text(query::ReferenceFormat) == Some("qualified");
        if is_qualified && context != DEFAULT_CONTEXT {
            for reference in &mut body.references {
                reference.subject = Subject::within(context, &reference.subject).name;
            }
        }
        body
    }

    /// Returns the format of the schema in the response. An unknown one is the default, as in
    /// Confluent's registry.
    pub(crate) fn format(&self) -> Format {
        match self.non_empty(query::Format).map(str::trim) {
            Some("resolved") => Format::Resolved,
            Some("" | "default") | None => Format::Stored,
            Some(format) => {
                let format: String = format.chars().take(LOGGED_CHARS).collect();
                tracing::warn!(format, "unknown schema format; returning the stored schema");
                Format::Stored
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

/// Returns whether a client requests the state of the database rather than what this node has
/// cached of it (`Cache-Control: no-cache`).
pub(crate) fn requests_current(headers: &HeaderMap) -> bool {
    let values = headers.get_all(CACHE_CONTROL);
    let mut values = values.filter_map(|value| value.to_str().ok());
    values.any(|value| value.split(',').any(|word| word.trim() == "no-cache"))
}

/// The body of a request.
#[derive(Debug)]
pub(crate) struct Body(pub(crate) Bytes);

impl Body {
    /// Parses the body, which must be a JSON object.
    ///
    /// # Errors
    /// [`RegistryError::BodyMissing`] if the body is empty or `null`, [`RegistryError::BadRequest`]
    /// if it is not an object of the expected form.
    pub(crate) fn parsed<T: DeserializeOwned>(&self) -> Result<T, RegistryError> {
        let text = self.0.trim_ascii();
        if matches!(text, b"" | b"null") {
            return Err(RegistryError::BodyMissing);
        }
        // serde would also read an array as the fields of a struct, in their order.
        if !text.starts_with(b"{") {
            return Err(RegistryError::BadRequest(
                "The request body must be an object".to_owned(),
            ));
        }
        serde_json::from_slice(text).map_err(|error| RegistryError::BadRequest(error.to_string()))
    }
}

impl FromRequest for Body {
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, Result<Self, actix_web::Error>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let limit = request
            .app_data::<Data<Registry>>()
            .map_or(0, |registry| registry.service.config.body_bytes);
        let read = Bytes::from_request(request, payload);
        Box::pin(async move {
            read.await.map(Self).map_err(|error| {
                let is_too_large =
                    error.as_response_error().status_code() == StatusCode::PAYLOAD_TOO_LARGE;
                if is_too_large {
                    RegistryError::BodyTooLarge { limit }.into()
                } else {
                    error
                }
            })
        })
    }
}
