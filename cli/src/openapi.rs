//! The OpenAPI document of a whole process: the registry's part, the broker's, and the routes that
//! every process has. A route that is served and not told here is a mistake.

use avouch_broker::Broker;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, Paths};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{
    Content, Info, License, OpenApi, OpenApiBuilder, RefOr, Response, ResponseBuilder,
};

use crate::http::{LIVEZ, METRICS, OPENAPI, READYZ};

const JSON: &str = "application/json";
const DESCRIPTION: &str = "A Kafka-compatible broker with a Confluent-compatible schema registry. \
    Every answer carries `X-Request-ID`: the request's own, or a new one. Routes that do not exist \
    answer 404, other methods of those that do 405, both with the body of an error.";

/// What a process with these halves serves.
pub(crate) fn document(has_registry: bool, has_broker: bool) -> OpenApi {
    let mut document = own();
    if has_registry {
        document.merge(avouch_registry::document());
    }
    if has_broker {
        document.merge(Broker::document());
    }
    document
}

/// The routes of every process.
fn own() -> OpenApi {
    let mut info = Info::new("Avouch", env!("CARGO_PKG_VERSION"));
    info.description = Some(DESCRIPTION.to_owned());
    info.license = Some(License::new("Apache-2.0"));
    let mut paths = Paths::new();
    let mut add = |path: &str, summary: &str, answers: Vec<(&str, Response)>| {
        let name = path.trim_start_matches('/').replace('.', "_");
        let operation = OperationBuilder::new()
            .tag("server")
            .operation_id(Some(format!("get_{name}")))
            .summary(Some(summary));
        let operation = answers
            .into_iter()
            .fold(operation, |operation, (status, response)| {
                operation.response(status, response)
            });
        paths.add_path_operation(path, vec![HttpMethod::Get], operation);
    };
    let text = ObjectBuilder::new().schema_type(Type::String);
    let metrics = response("Prometheus' text format", "text/plain", text);
    add(
        METRICS,
        "Metrics of the whole process",
        vec![("200", metrics)],
    );
    let alive = response("It does", JSON, health());
    add(LIVEZ, "Whether the process answers", vec![("200", alive)]);
    let ready = response("It does", JSON, health());
    let not_ready = response("Draining, or without its database", JSON, health());
    let readiness = vec![("200", ready), ("503", not_ready)];
    add(READYZ, "Whether the process takes work", readiness);
    let document = response("OpenAPI 3.1", JSON, ObjectBuilder::new());
    add(OPENAPI, "This document", vec![("200", document)]);
    OpenApiBuilder::new().info(info).paths(paths).build()
}

fn health() -> ObjectBuilder {
    let status = ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some("In words"));
    ObjectBuilder::new()
        .property("status", status)
        .required("status")
}

fn response(description: &str, content_type: &str, schema: impl Into<RefOr<Schema>>) -> Response {
    ResponseBuilder::new()
        .description(description)
        .content(content_type, Content::new(Some(schema.into())))
        .build()
}
