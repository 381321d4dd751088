//! Middleware that serves `GET /schemas/ids/{id}`, the request of every deserializer, from the
//! schema cache before routing. A request that needs more than the cache goes on to its route,
//! whose response has the same bytes.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::middleware::Next;
use actix_web::web::{Bytes, Data};
use actix_web::{Error, HttpResponse};
use avouch_http::{X_REQUEST_ID, request_id};

use crate::Registry;
use crate::metrics::SCHEMA_BY_ID;
use crate::rest::parameters::{Parameter as _, query};
use crate::rest::request::{Params, requests_current};
use crate::rest::response::{negotiated, now, unreadable};

/// Responds from the cache or calls the next service. Wraps everything that names or logs requests:
/// a cached response gets its request ID here and has no log line, so `is_logged`, which requests a
/// line for every read, disables the cache.
pub(crate) async fn fast_path<B: MessageBody>(
    registry: Data<Registry>,
    is_logged: bool,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<Bytes, B>>, Error> {
    let cached = if is_logged {
        None
    } else {
        cached_response(&registry, &request)
    };
    match cached {
        Some(response) => Ok(request.into_response(response).map_into_left_body()),
        None => Ok(next.call(request).await?.map_into_right_body()),
    }
}

fn cached_response(registry: &Registry, request: &ServiceRequest) -> Option<HttpResponse<Bytes>> {
    let prefix = SCHEMA_BY_ID.strip_suffix("{id}")?;
    // Anything but a plain number, such as a longer path, is left to the router.
    let id = request.path().strip_prefix(prefix)?.parse().ok()?;
    if request.method() != Method::GET {
        return None;
    }
    // After the cheap tests, which nearly every other request fails.
    let received_at = now();
    let params = Params::of(request.query_string());
    let is_cacheable = params.are_among(&[query::SubjectOfId::NAME, query::FetchMaxId::NAME])
        && !params.flag(query::FetchMaxId);
    if !is_cacheable || unreadable(request).is_some() {
        return None;
    }
    // The cache of a node that does not share its database is the current state.
    if requests_current(request.headers()) && !registry.service.store.is_exclusive() {
        return None;
    }
    let content_type = negotiated(request.headers())?;
    let body = registry.service.cached_response(id, params.subject())?;
    // Typed as bytes: a boxed body would cost an allocation for each response.
    let mut response = HttpResponse::Ok().message_body(body).ok()?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(X_REQUEST_ID.clone(), request_id(request.headers()));
    registry
        .service
        .metrics
        .served_from_cache(received_at.elapsed());
    Some(response)
}
