//! `GET /schemas/ids/{id}`, the question of every serializer, answered before anything else of the
//! application runs: of an id that was asked for before, memory has the whole answer. Whatever
//! takes more than that goes on to its route, which answers in the same words.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpResponse};
use avouch_registry_api::rest;

use crate::Registry;
use crate::metrics::SCHEMA_BY_ID;
use crate::rest::answer::{Asked, now, refused_type};
use crate::rest::request::Params;

/// Wraps the application, outside of everything that names or logs requests: an answer out of
/// memory has its request id and is counted, and leaves no line. An application that wants a line
/// of each look-up does without.
///
/// # Errors
/// What the application fails with.
pub async fn recalled<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<Bytes, B>>, Error> {
    match answer(&request) {
        Some(answer) => Ok(request.into_response(answer).map_into_left_body()),
        None => Ok(next.call(request).await?.map_into_right_body()),
    }
}

fn answer(request: &ServiceRequest) -> Option<HttpResponse<Bytes>> {
    let ids = SCHEMA_BY_ID.strip_suffix("{id}")?;
    let id = request.path().strip_prefix(ids)?.parse().ok()?;
    if request.method() != Method::GET {
        return None;
    }
    let registry = request.app_data::<Data<Registry>>()?;
    let asked_at = now();
    let params = Params::of(request.query_string());
    let is_plain = params.are_among(&["subject", "fetchMaxId"]) && !params.flag("fetchMaxId");
    if !is_plain || refused_type(request).is_some() {
        return None;
    }
    let body = registry.service.recall(id, params.subject())?;
    let mut answer = HttpResponse::Ok().message_body(body).ok()?;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(rest::CONTENT_TYPE));
    Asked::of(request.headers()).dress(headers);
    registry.service.metrics.recalled(asked_at.elapsed());
    Some(answer)
}
