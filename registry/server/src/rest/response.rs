//! Responses: content types, bodies of handlers, and the layer around each resource that negotiates
//! the content type and records metrics.

use std::rc::Rc;
use std::time::Instant;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpResponse, HttpResponseBuilder, ResponseError};
use avouch_http::{status_response, with_json_error};
use avouch_registry_api::error::http_status;
use avouch_registry_api::rest;
use serde::Serialize;

use crate::Registry;
use crate::error::RegistryError;

/// The result of a handler.
pub(crate) type HandlerResult = Result<HttpResponse, RegistryError>;

/// Content types of requests and responses, the preferred one first.
pub(crate) const CONTENT_TYPES: [&str; 3] = [
    rest::CONTENT_TYPE,
    "application/vnd.schemaregistry+json",
    "application/json",
];

/// The same as values of a header, whose construction checks each byte.
static CONTENT_TYPE_VALUES: [HeaderValue; 3] = [
    HeaderValue::from_static(CONTENT_TYPES[0]),
    HeaderValue::from_static(CONTENT_TYPES[1]),
    HeaderValue::from_static(CONTENT_TYPES[2]),
];

/// Returns a success with a JSON body.
pub(crate) fn json<T: Serialize>(body: &T) -> HttpResponse {
    HttpResponse::Ok().json(body)
}

/// Returns a success whose body is JSON already.
pub(crate) fn json_bytes(body: Bytes) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(rest::CONTENT_TYPE)
        .body(body)
}

/// Returns a success whose body is a schema as it is.
pub(crate) fn schema_text(schema: String) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(rest::CONTENT_TYPE)
        .body(schema)
}

/// Returns an error response with structured findings.
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

/// Wraps the resource at `route`: rejects content types that it can neither read nor write, gives
/// every error a JSON body, sets the content type, counts the response, and logs server errors.
pub(crate) async fn resource_layer<B: MessageBody + 'static>(
    registry: Data<Registry>,
    route: Rc<str>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<BoxBody>>, Error> {
    let received_at = now();
    let content_type = negotiated(request.headers());
    let method = request.method().clone();
    let rejection = match content_type {
        Some(_) => unreadable(&request),
        None => Some(StatusCode::NOT_ACCEPTABLE),
    };
    let response = match rejection {
        Some(status) => request.into_response(status_response(status)),
        // Also for errors of extractors, which handlers never see.
        None => next.call(request).await?.map_into_boxed_body(),
    };
    let status = response.status();
    if status.is_server_error() {
        let error = response.response().error().map(ToString::to_string);
        // Here, because the response does not carry the cause of an internal error.
        tracing::error!(route = &*route, %method, error, "registry request failed");
    }
    let metrics = &registry.service.metrics;
    metrics.responded(&route, method.as_str(), status);
    metrics.took(&route, method.as_str(), received_at.elapsed());
    let mut response = with_json_error(response);
    let headers = response.headers_mut();
    // A response without a body has no content type.
    if headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, content_type.unwrap_or_else(own_content_type));
    }
    Ok(response)
}

#[expect(clippy::disallowed_methods, reason = "the shell that measures latency")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Returns the status of a request whose body the registry does not read. A body without a content
/// type is read as JSON.
pub(crate) fn unreadable(request: &ServiceRequest) -> Option<StatusCode> {
    let headers = request.headers();
    let is_plain = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|coding| !is_plain(coding))
    {
        // A small compressed body can expand without bound, so compressed bodies are not read.
        return Some(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let readable = ["application/octet-stream"].iter().chain(&CONTENT_TYPES);
    if let Some(sent) = headers.get(CONTENT_TYPE) {
        let sent = sent.to_str().unwrap_or_default();
        let essence = sent.split(';').next().unwrap_or_default().trim();
        // Some clients send a content type with requests that have no body.
        let has_body = matches!(*request.method(), Method::POST | Method::PUT);
        let is_readable = |known: &&str| known.eq_ignore_ascii_case(essence);
        if has_body && !readable.clone().any(is_readable) {
            return Some(StatusCode::UNSUPPORTED_MEDIA_TYPE);
        }
    }
    None
}

/// Returns true for a range that includes all content types. `*` is not a media range, but Java's
/// URL connection sends it, and servers in Java read it as `*/*`.
fn accepts_all(range: &str) -> bool {
    ["*/*", "application/*", "*"].contains(&range)
}

/// Returns the media ranges of the `Accept` header, without their parameters.
fn accepted(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim())
        .filter(|range| !range.is_empty())
}

/// Returns the content type of the response, the preferred one among those that the client accepts;
/// `None` if it accepts none of them.
pub(crate) fn negotiated(headers: &HeaderMap) -> Option<HeaderValue> {
    // Without the header a client accepts everything (RFC 9110, section 12.5.1). Nearly all clients
    // send the preferred type alone.
    match headers.get(ACCEPT) {
        None => return Some(own_content_type()),
        Some(first) if *first == CONTENT_TYPE_VALUES[0] => return Some(own_content_type()),
        Some(_) => {}
    }
    let mut ranges = accepted(headers).peekable();
    if ranges.peek().is_none() {
        return Some(own_content_type());
    }
    let rank = |range: &str| match accepts_all(range) {
        true => Some(0),
        false => CONTENT_TYPES.iter().position(|known| *known == range),
    };
    let preferred = ranges.filter_map(rank).min()?;
    CONTENT_TYPE_VALUES.get(preferred).cloned()
}

/// Returns the content type of responses to clients that have no preference.
pub(crate) fn own_content_type() -> HeaderValue {
    CONTENT_TYPE_VALUES[0].clone()
}

/// Returns the HTTP status of an error code.
pub(crate) fn status_of(error_code: u32) -> StatusCode {
    let status = StatusCode::from_u16(http_status(error_code));
    status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferred_accepted_content_type_is_sent() {
        let table = [
            (None, Some(rest::CONTENT_TYPE)),
            (Some(""), Some(rest::CONTENT_TYPE)),
            (Some(rest::CONTENT_TYPE), Some(rest::CONTENT_TYPE)),
            (Some("*/*"), Some(rest::CONTENT_TYPE)),
            (Some("application/json"), Some("application/json")),
            (
                Some("application/json, application/vnd.schemaregistry.v1+json;q=0.9"),
                Some(rest::CONTENT_TYPE),
            ),
            (Some("text/html, */*;q=0.8"), Some(rest::CONTENT_TYPE)),
            (Some("application/*"), Some(rest::CONTENT_TYPE)),
            (
                Some("text/html, image/gif, *; q=.2"),
                Some(rest::CONTENT_TYPE),
            ),
            (Some("text/html"), None),
        ];
        for (accept, expected) in table {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(ACCEPT, HeaderValue::from_static(accept));
            }
            let negotiated = negotiated(&headers);
            let negotiated = negotiated.as_ref().map(|value| value.to_str().unwrap());
            assert_eq!(negotiated, expected, "{accept:?}");
        }
    }
}
