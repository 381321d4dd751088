//! The REST API: thin handlers over the service. Each handler carries its OpenAPI documentation;
//! router and document are built from [`endpoints`]. Every response, errors and unknown routes
//! included, is JSON with the registry's content type and the request's ID.

mod compatibility;
mod context_path;
mod error_responses;
mod fast_path;
mod openapi;
mod parameters;
mod request;
mod response;
mod schemas;
mod server;
mod settings;
mod subjects;
mod v1;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data, PayloadConfig, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use avouch_http::{Endpoint, resources, traced};

pub use self::openapi::document;

use crate::Registry;
use crate::rest::context_path::in_context;
use crate::rest::fast_path::fast_path;
use crate::rest::response::{negotiated, own_content_type, resource_layer};

/// The route label of all unknown routes in metrics.
const UNKNOWN: &str = "unknown";

/// Lists all endpoints. The router tries them in this order, so schemas by ID, which every consumer
/// requests, come first.
fn endpoints() -> Vec<Endpoint> {
    let mut endpoints = schemas::endpoints();
    endpoints.extend(subjects::endpoints());
    endpoints.extend(compatibility::endpoints());
    endpoints.extend(server::endpoints());
    endpoints.extend(settings::endpoints());
    endpoints.extend(v1::endpoints());
    endpoints
}

/// Mounts the registry as a scope that serves every path.
pub(crate) fn configure(registry: Registry, application: &mut ServiceConfig) {
    let body_limit = PayloadConfig::new(registry.service.config.body_bytes);
    let registry = Data::new(registry);
    let mut scope = web::scope("")
        .app_data(Data::clone(&registry))
        .app_data(body_limit)
        .default_service(web::to(not_found));
    for (path, resource) in resources(&endpoints()) {
        // Serializers treat only a 404 as absence of the API that writes associations.
        let resource = if path.starts_with("/associations") {
            resource.default_service(web::to(avouch_http::not_found))
        } else {
            resource
        };
        let registry = Data::clone(&registry);
        let layer = move |request, next| {
            resource_layer(Data::clone(&registry), path.clone(), request, next)
        };
        scope = scope.service(resource.wrap(from_fn(layer)));
    }
    // The last wrapper is the outermost: cached responses need no other layer.
    let is_logged = avouch_http::logs_reads();
    let cached = move |request, next| fast_path(Data::clone(&registry), is_logged, request, next);
    let scope = scope.wrap(from_fn(in_context)).wrap(from_fn(traced));
    application.service(scope.wrap(from_fn(cached)));
}

async fn not_found(registry: Data<Registry>, request: HttpRequest) -> HttpResponse {
    let mut response = avouch_http::not_found(request.clone()).await;
    let metrics = &registry.service.metrics;
    metrics.responded(UNKNOWN, request.method().as_str(), response.status());
    let content_type = negotiated(request.headers()).unwrap_or_else(own_content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
