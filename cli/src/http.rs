//! The HTTP listener: routes of registry and broker, health and metrics in one server. Every error
//! leaves with a JSON body, whoever raised it. Knows no route of the registry or the broker.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Server, ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_TYPE, HeaderValue};
use actix_web::middleware::{Condition, Next, from_fn};
use actix_web::web::{self, Bytes, Data, ServiceConfig};
use actix_web::{App, HttpResponse, HttpServer};
use avouch_registry::Registry;
use prometheus::TextEncoder;
use serde_json::json;

use crate::request_id;

/// Paths of this file's own routes.
pub(crate) const METRICS: &str = "/metrics";
pub(crate) const LIVEZ: &str = "/livez";
pub(crate) const READYZ: &str = "/readyz";
pub(crate) const OPENAPI: &str = "/openapi.json";
/// How long answers under way may take once the process stops.
const SHUTDOWN_TIMEOUT_S: u64 = 3;

/// What the routes of this file answer from.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    metrics: prometheus::Registry,
    ready: Arc<AtomicBool>,
    registry: Option<Registry>,
    /// The OpenAPI document, written out.
    document: Bytes,
}

impl Health {
    /// Health of a process that is ready as long as its registry is, over the metrics registered in
    /// `metrics`; `document` is what describes the process's routes.
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

    /// From now on `/readyz` says that no new work should come here.
    pub(crate) fn drain(&self) {
        self.ready.store(false, Ordering::Relaxed);
    }
}

/// A server over `listener`, to be awaited on a tokio runtime; it stops through its handle alone.
///
/// # Errors
/// When the listener cannot be handed over.
pub(crate) fn server<R>(listener: TcpListener, health: Health, routes: R) -> io::Result<Server>
where
    R: FnOnce(&mut ServiceConfig) + Clone + Send + 'static,
{
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::new(health.clone()))
            .wrap(from_fn(avouch_registry::in_context))
            .wrap(from_fn(json_errors))
            .wrap(from_fn(request_id::name))
            .wrap(Condition::new(
                !request_id::tells_reads(),
                from_fn(avouch_registry::recalled),
            ))
            .service(web::resource(METRICS).get(metrics))
            .service(web::resource(LIVEZ).get(livez))
            .service(web::resource(READYZ).get(readyz))
            .service(web::resource(OPENAPI).get(openapi))
            .configure(routes.clone())
            .default_service(web::to(avouch_registry::not_found))
    });
    Ok(server
        .workers(1)
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_TIMEOUT_S)
        .listen(listener)?
        .run())
}

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

async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "alive"}))
}

async fn readyz(health: Data<Health>) -> HttpResponse {
    if !health.ready.load(Ordering::Relaxed) {
        return HttpResponse::ServiceUnavailable().json(json!({"status": "draining"}));
    }
    if health
        .registry
        .as_ref()
        .is_some_and(|registry| !registry.is_ready())
    {
        let status = "the registry's database does not answer";
        return HttpResponse::ServiceUnavailable().json(json!({ "status": status }));
    }
    HttpResponse::Ok().json(json!({"status": "ready"}))
}

async fn openapi(health: Data<Health>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("application/json")
        .body(health.document.clone())
}

/// Gives the framework's own errors (a wrong method, a body that is no JSON, a bad path) the error
/// body that schema registry clients expect; answers that are JSON already pass.
async fn json_errors(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let response = next.call(request).await?.map_into_boxed_body();
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || is_json(&response) {
        return Ok(response);
    }
    let message = match response.response().error() {
        Some(error) => error.to_string(),
        None => format!("HTTP {status}"),
    };
    let body = json!({"error_code": status.as_u16(), "message": message}).to_string();
    let mut response = response.map_body(|_, _| BoxBody::new(body));
    let json = HeaderValue::from_static("application/vnd.schemaregistry.v1+json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    Ok(response)
}

fn is_json(response: &ServiceResponse) -> bool {
    let content_type = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.contains("json"))
}

#[cfg(test)]
mod tests {
    use actix_web::test::{TestRequest, call_service, init_service, read_body};

    use super::*;

    #[actix_web::test]
    async fn errors_of_the_framework_get_a_json_body_and_others_keep_theirs() {
        async fn takes_json(_body: web::Json<u32>) -> HttpResponse {
            HttpResponse::Conflict().json(json!({"error_code": 409, "message": "own"}))
        }
        let app = App::new()
            .wrap(from_fn(json_errors))
            .service(web::resource("/number").post(takes_json))
            .default_service(web::to(HttpResponse::NotFound));
        let app = init_service(app).await;
        let post = |body: &'static str| {
            TestRequest::post()
                .insert_header((CONTENT_TYPE, "application/json"))
                .set_payload(body)
        };
        let cases = [
            (
                TestRequest::get().uri("/nowhere"),
                404,
                "HTTP 404 Not Found",
            ),
            (
                TestRequest::get().uri("/number"),
                405,
                "HTTP 405 Method Not Allowed",
            ),
            (post("nine").uri("/number"), 400, "Json deserialize error"),
            (post("9").uri("/number"), 409, "own"),
        ];
        for (request, status, message) in cases {
            let response = call_service(&app, request.to_request()).await;
            assert_eq!(response.status().as_u16(), status, "{message}");
            let body: serde_json::Value =
                serde_json::from_slice(&read_body(response).await).unwrap();
            assert_eq!(body["error_code"], status, "{message}");
            assert!(
                body["message"].as_str().unwrap().starts_with(message),
                "{body}"
            );
        }
    }
}
