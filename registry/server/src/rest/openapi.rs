//! The OpenAPI document, made from the table of endpoints.

use std::collections::{BTreeMap, BTreeSet};

use avouch_registry_api::error::{ErrorCode, http_status};
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::ComponentsBuilder;
use utoipa::openapi::server::{ServerBuilder, ServerVariableBuilder};
use utoipa::openapi::{
    Content, Info, OpenApi, OpenApiBuilder, Paths, RefOr, Required, Response, ResponseBuilder,
    Server,
};

use crate::rest::answer::CONTENT_TYPES;
use crate::rest::bodies::{Body, Components, ERROR};
use crate::rest::endpoints::{Endpoint, endpoints};
use crate::rest::parameters::{in_path, in_query};

/// Codes that any request can get.
const ANY_REQUEST: [ErrorCode; 3] = [
    ErrorCode::NotAcceptable,
    ErrorCode::Store,
    ErrorCode::Internal,
];

/// The document of the registry's routes, OpenAPI 3.1. It tells the bodies in the contract's own
/// types, and contexts as a second server: each path is served below each context too.
#[must_use]
pub fn document() -> OpenApi {
    let mut paths = Paths::new();
    let mut components = Components::new();
    for endpoint in endpoints() {
        let bodies = [endpoint.body, endpoint.answer, Some(ERROR)];
        for body in bodies.into_iter().flatten() {
            (body.components)(&mut components);
        }
        let method = http_method(&endpoint);
        paths.add_path_operation(endpoint.path, vec![method], operation(&endpoint));
    }
    OpenApiBuilder::new()
        .info(Info::new(
            "Avouch schema registry",
            env!("CARGO_PKG_VERSION"),
        ))
        .servers(Some(servers()))
        .paths(paths)
        .components(Some(
            ComponentsBuilder::new()
                .schemas_from_iter(components)
                .build(),
        ))
        .build()
}

fn servers() -> [Server; 2] {
    let context = ServerVariableBuilder::new()
        .default_value(".")
        .description(Some(
            "A context's name. Subjects that name no context are in this one, ids are this one's, \
             and settings of everything are this context's.",
        ));
    let within = ServerBuilder::new()
        .url("/contexts/{context}")
        .description(Some("Every path within a context"))
        .parameter("context", context);
    let plain = ServerBuilder::new()
        .url("/")
        .description(Some("The default context, unless a name says another one"));
    [plain.build(), within.build()]
}

fn operation(endpoint: &Endpoint) -> Operation {
    let operation = OperationBuilder::new()
        .tag(tag(endpoint.path))
        .operation_id(Some(operation_id(endpoint)))
        .summary(Some(endpoint.summary))
        .parameters(Some(in_path(endpoint.path).chain(in_query(endpoint.query))));
    let body = endpoint.body.map(|body| {
        CONTENT_TYPES
            .iter()
            .fold(RequestBodyBuilder::new(), |request, content_type| {
                request.content(*content_type, content(body))
            })
            .required(Some(Required::True))
            .build()
    });
    let operation = operation.request_body(body);
    let answers = responses(endpoint).into_iter();
    answers
        .fold(operation, |operation, (status, response)| {
            operation.response(status, response)
        })
        .build()
}

/// Answers by HTTP status; each failure lists its error codes.
fn responses(endpoint: &Endpoint) -> Vec<(String, RefOr<Response>)> {
    let mut codes: BTreeMap<u16, BTreeSet<(u32, &str)>> = BTreeMap::new();
    for code in endpoint.codes() {
        let told = (code.number(), code.meaning());
        codes.entry(http_status(told.0)).or_default().insert(told);
    }
    let (status, body) = match endpoint.answer {
        Some(body) => ("200", response("Success", body)),
        None => ("204", Response::new("Success")),
    };
    let mut responses = vec![(status.to_owned(), body.into())];
    for (status, codes) in codes {
        let lines: Vec<String> = codes
            .iter()
            .map(|(code, meaning)| format!("- `error_code` {code}: {meaning}"))
            .collect();
        let failure = response(&lines.join("\n"), ERROR);
        responses.push((status.to_string(), failure.into()));
    }
    responses
}

impl Endpoint {
    /// Every code it answers with.
    fn codes(&self) -> impl Iterator<Item = ErrorCode> {
        let may_bring = [ErrorCode::UnsupportedMediaType];
        let brings = [ErrorCode::BodyTooLarge];
        let own = self.errors.iter().copied().chain(ANY_REQUEST);
        let may_bring = may_bring.into_iter().filter(|_| self.may_have_body());
        own.chain(may_bring)
            .chain(brings.into_iter().filter(|_| self.body.is_some()))
    }

    fn may_have_body(&self) -> bool {
        matches!(http_method(self), HttpMethod::Post | HttpMethod::Put)
    }
}

fn response(description: &str, body: Body) -> Response {
    CONTENT_TYPES
        .iter()
        .fold(ResponseBuilder::new(), |response, content_type| {
            response.content(*content_type, content(body))
        })
        .description(description)
        .build()
}

fn content(body: Body) -> Content {
    Content::new(Some((body.schema)()))
}

fn http_method(endpoint: &Endpoint) -> HttpMethod {
    match endpoint.method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

/// Method and path as one word.
fn operation_id(endpoint: &Endpoint) -> String {
    let words = endpoint
        .path
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    let method = endpoint.method.as_str().to_ascii_lowercase();
    words.fold(method, |id, word| format!("{id}_{word}"))
}

/// The group that a path is listed in.
fn tag(path: &str) -> &str {
    match path.split('/').nth(1) {
        Some("v1") => "avouch",
        Some("") | None => "server",
        Some(first) => first,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    // Conformance: registry/rest-4
    #[test]
    fn every_endpoint_is_documented_with_components_that_exist() {
        let document = serde_json::to_value(document()).unwrap();
        let operations = document["paths"].as_object().unwrap().values();
        let methods = ["get", "post", "put", "delete"];
        let documented: usize = operations
            .map(|path| {
                methods
                    .iter()
                    .filter(|name| path.get(name).is_some())
                    .count()
            })
            .sum();
        let endpoints = endpoints();
        assert_eq!(
            documented,
            endpoints.len(),
            "two endpoints share method and path"
        );
        let ids: BTreeSet<String> = endpoints.iter().map(operation_id).collect();
        assert_eq!(ids.len(), endpoints.len(), "two operations share an id");
        for name in references(&document) {
            let name = name.strip_prefix("#/components/schemas/").unwrap();
            assert!(
                document["components"]["schemas"].get(name).is_some(),
                "{name}"
            );
        }
    }

    // Conformance: registry/rest-4
    #[test]
    fn parameters_that_may_be_given_many_times_are_arrays() {
        let document = serde_json::to_value(document()).unwrap();
        let parameters = &document["paths"]["/subjects/{subject}/metadata"]["get"]["parameters"];
        let key = parameters
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["name"] == "key");
        assert_eq!(key.unwrap()["schema"]["type"], "array");
        assert_eq!(document["servers"][1]["url"], "/contexts/{context}");
    }

    fn references(value: &Value) -> Vec<String> {
        match value {
            Value::Object(properties) => {
                let own = properties
                    .get("$ref")
                    .and_then(Value::as_str)
                    .map(str::to_owned);
                own.into_iter()
                    .chain(properties.values().flat_map(references))
                    .collect()
            }
            Value::Array(items) => items.iter().flat_map(references).collect(),
            _ => Vec::new(),
        }
    }
}
