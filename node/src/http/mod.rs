//! The HTTP listener: routes of broker and registry, health, metrics and the OpenAPI document in
//! one server. Knows no route of the broker or the registry.

mod flow;
mod limits;
mod server;
mod stream;

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_server::Server;
use actix_web::middleware::from_fn;
use actix_web::web::{self, Bytes, Data, ServiceConfig};
use actix_web::{App, HttpResponse};
use avouch_broker::Broker;
use avouch_http::{Endpoint, endpoints, mount, not_found, traced};
use avouch_registry::Registry;
use prometheus::TextEncoder;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::{Info, License, OpenApi, Server as DocumentedServer};

use crate::backup::Backups;
use crate::backup::routes::backup_endpoints;

pub(crate) use self::limits::HttpContext;
pub use self::limits::HttpLimits;
pub(crate) use self::server::HttpHandle;

const DESCRIPTION: &str = "A Kafka-compatible broker with a Confluent-compatible schema registry. \
    Every response has the header `X-Request-ID`, which is that of the request or a generated one. \
    Unknown routes return 404 and unsupported methods 405, both with an error body.";

/// State of the process that the health endpoints report.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    metrics: prometheus::Registry,
    ready: Arc<AtomicBool>,
    registry: Option<Registry>,
    /// The OpenAPI document as JSON.
    document: Bytes,
}

impl Health {
    /// Returns the health of a process that is ready as long as its registry is. `metrics` has the
    /// metrics of the process, `document` describes its routes.
    pub(crate) fn new(
        metrics: prometheus::Registry,
        registry: Option<Registry>,
        document: String,
    ) -> Self {
        Self {
            metrics,
            ready: Arc::new(AtomicBool::new(true)),
            registry,
            document: document.into(),
        }
    }

    /// Makes `/readyz` report that the process is draining.
    pub(crate) fn drain(&self) {
        // No other data is published with the flag.
        self.ready.store(false, Ordering::Relaxed);
    }
}

/// Creates a server over `listener`, to be awaited on a tokio runtime. Only its handle stops it.
/// `routes` are mounted last, because the registry serves every path.
///
/// # Errors
/// If the listener cannot be registered.
pub(crate) fn server<R>(
    listener: TcpListener,
    context: HttpContext,
    (health, backups): (Health, Backups),
    routes: R,
) -> io::Result<(Server, HttpHandle)>
where
    R: FnOnce(&mut ServiceConfig) + Clone + Send + 'static,
{
    server::start(listener, Arc::new(context), move || {
        App::new()
            .app_data(Data::new(health.clone()))
            .app_data(Data::new(backups.clone()))
            .configure(|application| mount(&own_endpoints(), application))
            // Last, because the registry matches every path.
            .configure(routes.clone())
            // Responses of unknown routes have a request id too.
            .default_service(web::to(not_found).wrap(from_fn(traced)))
    })
}

/// Returns the OpenAPI document of a process with these parts.
pub(crate) fn document(has_registry: bool, has_broker: bool) -> OpenApi {
    let mut info = Info::new("Avouch", env!("CARGO_PKG_VERSION"));
    info.description = Some(DESCRIPTION.to_owned());
    info.license = Some(License::new("Apache-2.0"));
    let mut document = avouch_http::document(info, own_endpoints(), |_, _, _| ());
    if has_broker {
        document.merge(Broker::document());
    }
    // Only the registry's paths are served below a context too.
    for path in document.paths.paths.values_mut() {
        path.servers = Some(vec![DocumentedServer::new("/")]);
    }
    if has_registry {
        document.merge(avouch_registry::document());
    }
    document
}

/// Lists the endpoints that every process has.
fn own_endpoints() -> Vec<Endpoint> {
    let mut all = endpoints![metrics, livez, readyz, openapi];
    all.extend(backup_endpoints());
    all
}

/// The body of the health endpoints.
#[derive(Debug, Serialize, ToSchema)]
struct HealthBody {
    /// `alive`, `ready`, or the reason why the process is not ready.
    status: &'static str,
}

/// Get the metrics of the process in Prometheus text format
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "server",
    responses((status = 200, description = "Prometheus text format", body = String))
)]
async fn metrics(health: Data<Health>) -> HttpResponse {
    match TextEncoder::new().encode_to_string(&health.metrics.gather()) {
        Ok(text) => HttpResponse::Ok()
            .content_type("text/plain; version=0.0.4")
            .body(text),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be encoded");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// Report that the process is running
#[utoipa::path(
    get,
    path = "/livez",
    tag = "server",
    responses((status = 200, description = "The process is running", body = HealthBody))
)]
async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(HealthBody { status: "alive" })
}

/// Report whether the process accepts requests
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "server",
    responses(
        (status = 200, description = "The process accepts requests", body = HealthBody),
        (
            status = 503,
            description = "The process is draining, or the registry's database is unreachable",
            body = HealthBody
        ),
    )
)]
async fn readyz(health: Data<Health>) -> HttpResponse {
    let registry = health.registry.as_ref();
    if !health.ready.load(Ordering::Relaxed) {
        let status = "draining";
        HttpResponse::ServiceUnavailable().json(HealthBody { status })
    } else if registry.is_some_and(|registry| !registry.is_ready()) {
        let status = "registry database unreachable";
        HttpResponse::ServiceUnavailable().json(HealthBody { status })
    } else {
        HttpResponse::Ok().json(HealthBody { status: "ready" })
    }
}

/// Get this document
#[utoipa::path(
    get,
    path = "/openapi.json",
    tag = "server",
    responses((status = 200, description = "OpenAPI 3.1 document", body = Object))
)]
async fn openapi(health: Data<Health>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(health.document.clone())
}
