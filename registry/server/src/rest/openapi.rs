//! The OpenAPI document, made from the table of endpoints.

use std::collections::{BTreeMap, BTreeSet};

use avouch_registry_api::error::{ErrorCode, http_status};
use avouch_registry_api::rest::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use crate::rest::endpoints::{Endpoint, endpoints};

/// Codes that any request can get.
const ANY_REQUEST: [ErrorCode; 3] = [
    ErrorCode::BodyTooLarge,
    ErrorCode::Store,
    ErrorCode::Internal,
];

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
    let success = json!({ "description": "Success", "content": content(endpoint.answer) });
    responses.insert("200".to_owned(), success);
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
        "offset" | "limit" | "since" => "integer",
        "subject" | "subjectPrefix" | "format" | "key" | "value" | "resourceType"
        | "associationType" | "lifecycle" => "string",
        _ => "boolean",
    }
}

fn components() -> Value {
    let reference = json!({
        "name": { "type": "string" },
        "subject": { "type": "string" },
        "version": { "type": "integer" },
    });
    let content = json!({
        "schema": { "type": "string" },
        "schemaType": { "enum": ["AVRO", "JSON", "PROTOBUF"] },
        "references": { "type": "array", "items": object(&reference) },
        "metadata": { "type": "object" },
        "ruleSet": { "type": "object" },
        "version": { "type": "integer" },
        "id": { "type": "integer" },
    });
    let mut answer = content.clone();
    answer["subject"] = json!({ "type": "string" });
    answer["guid"] = json!({ "type": "string", "format": "uuid" });
    answer["maxId"] = json!({ "type": "integer" });
    answer["ts"] = json!({ "type": "integer", "description": "milliseconds since 1970" });
    answer["deleted"] = json!({ "type": "boolean" });
    let level = json!({ "enum": [
        "NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL",
        "FULL_TRANSITIVE", null,
    ] });
    let group = json!({ "type": ["string", "null"] });
    let normalize = json!({ "type": "boolean" });
    let stored = json!({
        "compatibility": level, "compatibilityGroup": group, "normalize": normalize,
    });
    let subject_version = json!({
        "subject": { "type": "string" },
        "version": { "type": "integer" },
    });
    let context_id = json!({ "context": { "type": "string" }, "id": { "type": "integer" } });
    let modes = json!(["READWRITE", "READONLY", "READONLY_OVERRIDE", "IMPORT", null]);
    json!({
        "Any": {},
        "Empty": object(&json!({})),
        "Number": { "type": "integer" },
        "Numbers": { "type": "array", "items": { "type": "integer" } },
        "Names": { "type": "array", "items": { "type": "string" } },
        "SchemaRequest": object(&content),
        "Schema": object(&answer),
        "Schemas": { "type": "array", "items": { "$ref": "#/components/schemas/Schema" } },
        "ContextIds": { "type": "array", "items": object(&context_id) },
        "SubjectVersions": { "type": "array", "items": object(&subject_version) },
        "Compatibility": object(&json!({
            "is_compatible": { "type": "boolean" },
            "messages": { "type": "array", "items": { "type": "string" } },
        })),
        "Config": object(&json!({
            "compatibilityLevel": level, "compatibilityGroup": group, "normalize": normalize,
        })),
        "ConfigRequest": object(&stored),
        "StoredConfig": object(&stored),
        "Mode": object(&json!({ "mode": { "enum": modes } })),
        "Changes": object(&json!({ "seq": { "type": "integer" } })),
        "Error": object(&json!({
            "error_code": { "type": "integer" },
            "message": { "type": "string" },
        })),
    })
}

fn object(properties: &Value) -> Value {
    json!({ "type": "object", "properties": properties })
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
            for component in endpoint.body.into_iter().chain([endpoint.answer]) {
                let known = &document["components"]["schemas"][component];
                assert!(!known.is_null(), "{} names {component}", endpoint.path);
            }
        }
    }
}
