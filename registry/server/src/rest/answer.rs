//! How answers look: content type, request id, and error bodies for everything that fails before or
//! beside a handler.

use std::time::Instant;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse, HttpResponseBuilder, ResponseError};
use avouch_registry_api::error::{ErrorBody, ErrorCode, http_status};
use avouch_registry_api::rest;
use serde::Serialize;

use crate::Registry;
use crate::error::RegistryError;
use crate::rest::request_id::{X_REQUEST_ID, request_id};

/// What a handler returns.
pub(crate) type Answer = Result<HttpResponse, RegistryError>;

/// The content types an answer can have, the preferred one first.
pub(crate) const CONTENT_TYPES: [&str; 3] = [
    rest::CONTENT_TYPE,
    "application/vnd.schemaregistry+json",
    "application/json",
];

/// A success with a JSON body.
pub(crate) fn json<T: Serialize>(body: &T) -> HttpResponse {
    HttpResponse::Ok().json(body)
}

/// A success with a schema's bare text.
pub(crate) fn text(schema: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(rest::CONTENT_TYPE)
        .body(schema)
}

/// The body for a bare HTTP status.
pub(crate) fn status_body(code: ErrorCode) -> HttpResponse {
    let number = code.number();
    let status = status_of(number);
    let reason = status.canonical_reason().unwrap_or("Error");
    let message = format!("HTTP {number} {reason}");
    HttpResponse::build(status).json(ErrorBody::new(number, message))
}

/// A refusal with everything that is known about it.
pub(crate) fn explained(error: &RegistryError) -> HttpResponse {
    HttpResponseBuilder::new(error.status_code()).json(error.explained())
}

impl ResponseError for RegistryError {
    fn status_code(&self) -> StatusCode {
        status_of(self.body().error_code)
    }

    fn error_response(&self) -> HttpResponse {
        HttpResponseBuilder::new(self.status_code()).json(self.body())
    }
}

/// Wraps the resource at `route`: counts the answer, logs it if it is our fault, gives it content
/// type and request id, and an error body if whoever refused the request did not.
pub(crate) async fn dress(
    route: &'static str,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<BoxBody>>, Error> {
    let asked_at = now();
    let asked = Asked::of(request.headers());
    let method = request.method().clone();
    let registry = request.app_data::<Data<Registry>>().cloned();
    let mut response = match refused_type(&request) {
        Some(code) => request.into_response(status_body(code)),
        None => next.call(request).await?.map_into_boxed_body(),
    };
    if response.status().is_client_error() && !is_json(response.headers()) {
        let code = plain_code(response.status());
        response = response.into_response(status_body(code));
    }
    if response.status().is_server_error() {
        let reason = response.response().error().map(ToString::to_string);
        tracing::error!(route, %method, reason, "the registry failed");
    }
    if let Some(registry) = registry {
        let metrics = &registry.service.metrics;
        metrics.answered(route, method.as_str(), response.status());
        metrics.took(route, method.as_str(), asked_at.elapsed());
    }
    asked.dress(response.headers_mut());
    Ok(response.map_into_left_body())
}

#[expect(clippy::disallowed_methods, reason = "the shell that measures latency")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Why a request is refused for its content types alone. Without a body there is none to read;
/// without a type a body is read as if it had ours.
pub(crate) fn refused_type(request: &ServiceRequest) -> Option<ErrorCode> {
    let headers = request.headers();
    let is_plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| !is_plain(coding))
    {
        // What is packed small can be large: bodies are read as they are, or not at all.
        return Some(ErrorCode::UnsupportedMediaType);
    }
    let read = ["application/octet-stream"].iter().chain(&CONTENT_TYPES);
    if let Some(sent) = headers.get(CONTENT_TYPE) {
        let sent = sent.to_str().unwrap_or_default();
        let essence = sent.split(';').next().unwrap_or_default().trim();
        let has_body = matches!(*request.method(), Method::POST | Method::PUT);
        if has_body && !read.clone().any(|ours| ours.eq_ignore_ascii_case(essence)) {
            return Some(ErrorCode::UnsupportedMediaType);
        }
    }
    let mut accepted = accepted(headers).peekable();
    let accepts_any = accepted.peek().is_none();
    let fits =
        |range: &str| ["*/*", "application/*"].contains(&range) || CONTENT_TYPES.contains(&range);
    (!accepts_any && !accepted.any(fits)).then_some(ErrorCode::NotAcceptable)
}

/// The media ranges that the client accepts, without their parameters.
fn accepted(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .filter(|range| !range.is_empty())
}

/// What an answer's headers depend on.
pub(crate) struct Asked {
    content_type: &'static str,
    request_id: HeaderValue,
}

impl Asked {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self {
            content_type: content_type(headers),
            request_id: request_id(headers),
        }
    }

    /// Sets the headers that every answer has.
    pub(crate) fn dress(self, answered: &mut HeaderMap) {
        answered.insert(X_REQUEST_ID.clone(), self.request_id);
        if answered.contains_key(CONTENT_TYPE) {
            let ours = HeaderValue::from_static(self.content_type);
            answered.insert(CONTENT_TYPE, ours);
        }
    }
}

/// The first of our content types that the client names; the registry's own if it names none.
fn content_type(asked: &HeaderMap) -> &'static str {
    let accepted: Vec<&str> = accepted(asked).collect();
    if accepted.contains(&"*/*") || accepted.contains(&"application/*") {
        return rest::CONTENT_TYPE;
    }
    CONTENT_TYPES
        .into_iter()
        .find(|ours| accepted.contains(ours))
        .unwrap_or(rest::CONTENT_TYPE)
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    content_type.is_some_and(|content_type| content_type.contains("json"))
}

/// The code for a refusal by the framework itself.
fn plain_code(status: StatusCode) -> ErrorCode {
    match status {
        StatusCode::NOT_FOUND => ErrorCode::RouteNotFound,
        StatusCode::METHOD_NOT_ALLOWED => ErrorCode::MethodNotAllowed,
        StatusCode::PAYLOAD_TOO_LARGE => ErrorCode::BodyTooLarge,
        _ => ErrorCode::BadRequest,
    }
}

/// The HTTP status of an error code.
pub(crate) fn status_of(error_code: u32) -> StatusCode {
    let status = StatusCode::from_u16(http_status(error_code));
    status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_is_the_most_specific_one_the_client_names() {
        let table = [
            (None, rest::CONTENT_TYPE),
            (Some("*/*"), rest::CONTENT_TYPE),
            (Some("application/json"), "application/json"),
            (
                Some("application/json, application/vnd.schemaregistry.v1+json;q=0.9"),
                rest::CONTENT_TYPE,
            ),
            (Some("text/html, */*;q=0.8"), rest::CONTENT_TYPE),
            (Some("application/*"), rest::CONTENT_TYPE),
        ];
        for (accept, expected) in table {
            let mut asked = HeaderMap::new();
            if let Some(accept) = accept {
                asked.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(content_type(&asked), expected, "{accept:?}");
        }
    }
}
