//! The OpenAPI document, made from the table of endpoints.

use std::collections::{BTreeMap, BTreeSet};

use avouch_registry_api::error::{ErrorCode, http_status};
use avouch_registry_api::rest::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use crate::rest::components::components;
use crate::rest::endpoints::{Endpoint, endpoints};

/// Codes that any request can get.
const ANY_REQUEST: [ErrorCode; 4] = [
    ErrorCode::NotAcceptable,
    ErrorCode::BodyTooLarge,
    ErrorCode::Store,
    ErrorCode::Internal,
];

/// The answer of an endpoint that answers without a body.
pub(crate) const NOTHING: &str = "Nothing";

/// The document, OpenAPI 3.1.
pub(crate) fn document() -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for endpoint in endpoints() {
        let method = endpoint.method.as_str().to_ascii_lowercase();
        paths
            .entry(endpoint.path)
            .or_default()
            .insert(method, operation(&endpoint));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Avouch schema registry",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0" },
        },
        "paths": paths,
        "components": { "schemas": components() },
    })
}

fn operation(endpoint: &Endpoint) -> Value {
    let in_path = names_in(endpoint.path).map(|name| {
        let kind = if name == "id" { "integer" } else { "string" };
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": kind } })
    });
    let in_query = endpoint
        .query
        .iter()
        .map(|name| json!({ "name": name, "in": "query", "schema": { "type": query_type(name) } }));
    let mut operation = json!({
        "summary": endpoint.summary,
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": responses(endpoint),
    });
    if let Some(body) = endpoint.body {
        operation["requestBody"] = json!({ "required": true, "content": content(body) });
        operation["responses"]["415"] = json!({
            "description": "error_code 415", "content": content("Error"),
        });
    }
    operation
}

/// Answers by HTTP status; each failure lists its error codes.
fn responses(endpoint: &Endpoint) -> Map<String, Value> {
    let mut codes: BTreeMap<u16, BTreeSet<u32>> = BTreeMap::new();
    for code in endpoint.errors.iter().chain(&ANY_REQUEST) {
        let number = code.number();
        codes.entry(http_status(number)).or_default().insert(number);
    }
    let mut responses = Map::new();
    let success = if endpoint.answer == NOTHING {
        ("204", json!({ "description": "Success" }))
    } else {
        let content = content(endpoint.answer);
        (
            "200",
            json!({ "description": "Success", "content": content }),
        )
    };
    responses.insert(success.0.to_owned(), success.1);
    for (status, numbers) in codes {
        let numbers: Vec<String> = numbers.iter().map(u32::to_string).collect();
        let description = format!("error_code {}", numbers.join(", "));
        let failure = json!({ "description": description, "content": content("Error") });
        responses.insert(status.to_string(), failure);
    }
    responses
}

fn content(component: &str) -> Value {
    let reference = format!("#/components/schemas/{component}");
    json!({ CONTENT_TYPE: { "schema": { "$ref": reference } } })
}

/// The parameters between the braces of a path.
fn names_in(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn query_type(name: &str) -> &'static str {
    match name {
        "offset" | "limit" | "since" | "wait_ms" => "integer",
        "subject" | "subjectPrefix" | "contextPrefix" | "format" | "referenceFormat"
        | "findTags" | "key" | "value" | "ruleType" | "resourceType" | "associationType"
        | "lifecycle" => "string",
        _ => "boolean",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_is_documented_with_components_that_exist() {
        let document = document();
        let endpoints = endpoints();
        let operations = document["paths"].as_object().unwrap().values();
        let documented: usize = operations.map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(
            documented,
            endpoints.len(),
            "two endpoints share method and path"
        );
        for endpoint in endpoints {
            let answer = Some(endpoint.answer).filter(|&answer| answer != NOTHING);
            for component in endpoint.body.into_iter().chain(answer) {
                let known = &document["components"]["schemas"][component];
                assert!(!known.is_null(), "{} names {component}", endpoint.path);
            }
        }
    }
}
