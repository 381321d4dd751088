//! The REST surface: thin handlers over the operations, one table of endpoints that both the router
//! and the OpenAPI document are made from. Every answer, whatever happened, is JSON of the
//! registry's content type and carries the request's id.

mod answer;
mod bodies;
mod checks;
mod contexts;
mod endpoints;
mod openapi;
mod ours;
mod parameters;
mod recall;
mod request;
mod request_id;
mod schemas;
mod server;
mod settings;
mod subjects;

use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, PayloadConfig, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use avouch_registry_api::error::ErrorCode;

pub use self::contexts::in_context;
pub use self::openapi::document;
pub use self::recall::recalled;
pub use self::request_id::{X_REQUEST_ID, request_id};

use crate::Registry;
use crate::rest::answer::{Asked, dress, status_body};
use crate::rest::endpoints::{Endpoint, endpoints};

/// What all unknown routes are counted as.
const UNKNOWN: &str = "unknown";

/// Adds one resource a path, each with an answer for the methods it does not have.
pub(crate) fn configure(registry: Registry, application: &mut ServiceConfig) {
    let body_bytes = registry.service.config.body_bytes;
    // Of the whole application, so that unknown routes are counted too.
    let registry = Data::new(registry);
    application.app_data(registry);
    let mut rest = endpoints();
    while let Some(path) = rest.first().map(|endpoint| endpoint.path) {
        let (here, others): (Vec<Endpoint>, _) =
            rest.into_iter().partition(|endpoint| endpoint.path == path);
        let resource = web::resource(path).app_data(PayloadConfig::new(body_bytes));
        // Nothing can be associated: as far as writes go, there is no such route.
        let resource = if path.starts_with("/associations") {
            resource.default_service(web::to(not_found))
        } else {
            resource.default_service(web::to(method_not_allowed))
        };
        let resource = here.into_iter().fold(resource, |resource, endpoint| {
            resource.route(endpoint.route)
        });
        let dressed = from_fn(move |request, next| dress(path, request, next));
        application.service(resource.wrap(dressed));
        rest = others;
    }
}

/// The answer to every unknown route, whatever its method. Serializers probe routes that a registry
/// may lack, and take it only from a 404 of this shape that there is nothing.
pub async fn not_found(request: HttpRequest) -> HttpResponse {
    let mut response = status_body(ErrorCode::RouteNotFound);
    if let Some(registry) = request.app_data::<Data<Registry>>() {
        let method = request.method().as_str();
        let metrics = &registry.service.metrics;
        metrics.answered(UNKNOWN, method, response.status());
    }
    Asked::of(request.headers()).dress(response.headers_mut());
    response
}

async fn method_not_allowed() -> HttpResponse {
    status_body(ErrorCode::MethodNotAllowed)
}
