//! Error responses: a JSON object with `error_code` and `message`, the form that clients of
//! Confluent Schema Registry expect on every route, unknown routes included.

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use serde::Serialize;
use utoipa::ToSchema;

/// The body of an error response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = HttpError)]
pub struct ErrorBody {
    /// The HTTP status, or a code whose first three digits are the HTTP status.
    pub error_code: u32,
    /// Description of the error.
    pub message: String,
}

/// Returns an error response whose `error_code` is the HTTP status.
#[must_use]
pub fn error_response(status: StatusCode, message: String) -> HttpResponse {
    HttpResponse::build(status).json(ErrorBody {
        error_code: status.as_u16().into(),
        message,
    })
}

/// Returns an error response that names nothing but the status, such as `HTTP 404 Not Found`.
#[must_use]
pub fn status_response(status: StatusCode) -> HttpResponse {
    error_response(status, format!("HTTP {status}"))
}

/// Handles every unknown route. Serializers probe routes that a registry may lack and treat only a
/// 404 with this body as absence.
pub async fn not_found(_request: HttpRequest) -> HttpResponse {
    status_response(StatusCode::NOT_FOUND)
}

/// Handles the methods that a path does not have.
pub(crate) async fn method_not_allowed() -> HttpResponse {
    status_response(StatusCode::METHOD_NOT_ALLOWED)
}

/// Replaces the body of an error response by a JSON one, unless it is JSON already. The framework's
/// own errors, such as a path segment that is not a number, have a plain body.
pub fn with_json_error<B: MessageBody>(
    response: ServiceResponse<B>,
) -> ServiceResponse<EitherBody<B, BoxBody>> {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || is_json(response.headers()) {
        return response.map_into_left_body();
    }
    // The framework's text is dropped: it can contain bytes of the request.
    let json = status_response(status).into_body();
    let mut response = response.map_body(|_, _| EitherBody::right(json));
    let content_type = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.contains("json"))
}
