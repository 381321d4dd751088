//! The OpenAPI document: the documentation of the handlers, completed by what is common to all.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use avouch_registry_api::error::{ErrorBody, ErrorCode, http_status};
use utoipa::openapi::path::{HttpMethod, Operation};
use utoipa::openapi::server::{ServerBuilder, ServerVariableBuilder};
use utoipa::openapi::{Content, Info, OpenApi, Ref, RefOr, Required, ResponseBuilder, Server};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::rest::endpoints;
use crate::rest::response::CONTENT_TYPES;

/// Error codes that every request can get.
const ANY_REQUEST: [ErrorCode; 4] = [
    ErrorCode::NotAcceptable,
    ErrorCode::Internal,
    ErrorCode::Store,
    ErrorCode::StoreTimeout,
];
/// Error codes that a request with a body can get as well.
const WITH_BODY: [ErrorCode; 3] = [
    ErrorCode::BadRequest,
    ErrorCode::BodyTooLarge,
    ErrorCode::Unprocessable,
];

/// Returns the OpenAPI 3.1 document of the registry's routes. Each path is served below
/// `/contexts/{context}` too, which the document describes as a second server.
#[must_use]
pub fn document() -> OpenApi {
    let info = Info::new("Avouch schema registry", env!("CARGO_PKG_VERSION"));
    let mut document = avouch_http::document(info, endpoints(), complete);
    let mut schemas = vec![(ErrorBody::name().into_owned(), ErrorBody::schema())];
    ErrorBody::schemas(&mut schemas);
    let components = document.components.get_or_insert_default();
    components.schemas.extend(schemas);
    document.servers = Some(servers().into());
    document
}

fn servers() -> [Server; 2] {
    let context = ServerVariableBuilder::new()
        .default_value(".")
        .description(Some(
            "Context name. Subjects without a context belong to it, schema IDs are resolved in it, \
             and global settings are those of the context.",
        ));
    let in_context = ServerBuilder::new()
        .url("/contexts/{context}")
        .description(Some("Every path within one context"))
        .parameter("context", context);
    let plain = ServerBuilder::new().url("/").description(Some(
        "The default context, unless a subject name contains another one",
    ));
    [plain.build(), in_context.build()]
}

/// Adds the tag, the content types of all bodies, and the error responses with their codes.
fn complete(path: &str, method: &HttpMethod, operation: &mut Operation) {
    operation.tags = Some(vec![tag(path).to_owned()]);
    if let Some(body) = &mut operation.request_body {
        body.required = Some(Required::True);
        let content = mem::take(&mut body.content);
        // `utoipa` documents one content type; all have the same schema.
        body.content = content.values().take(1).flat_map(in_every_type).collect();
    }
    let mut codes: BTreeSet<u32> = ANY_REQUEST.iter().map(|code| code.number()).collect();
    if operation.request_body.is_some() {
        codes.extend(WITH_BODY.iter().map(|code| code.number()));
    }
    if matches!(method, HttpMethod::Post | HttpMethod::Put) {
        codes.insert(ErrorCode::UnsupportedMediaType.number());
    }
    for (status, response) in mem::take(&mut operation.responses.responses) {
        match (status.parse(), response) {
            // Keys of declared errors are error codes, not HTTP statuses.
            (Ok(code), _) if code >= 400 => _ = codes.insert(code),
            // A success; errors are added below, one response for each status.
            (_, RefOr::T(mut response)) => {
                let content = mem::take(&mut response.content);
                response.content = content.values().take(1).flat_map(in_every_type).collect();
                if response.description.is_empty() {
                    "Success".clone_into(&mut response.description);
                }
                operation
                    .responses
                    .responses
                    .insert(status, response.into());
            }
            (_, reference) => _ = operation.responses.responses.insert(status, reference),
        }
    }
    for (status, lines) in by_status(&codes) {
        let body = Content::new(Some(Ref::from_schema_name(ErrorBody::name())));
        let response = ResponseBuilder::new().description(lines.join("\n"));
        let response = in_every_type(&body)
            .into_iter()
            .fold(response, |response, (content_type, content)| {
                response.content(content_type, content)
            });
        let responses = &mut operation.responses.responses;
        responses.insert(status.to_string(), response.build().into());
    }
}

/// Returns the body under each content type of the API.
fn in_every_type(content: &Content) -> [(String, Content); CONTENT_TYPES.len()] {
    CONTENT_TYPES.map(|content_type| (content_type.to_owned(), content.clone()))
}

/// Returns a line of documentation for each error code, by HTTP status.
fn by_status(codes: &BTreeSet<u32>) -> BTreeMap<u16, Vec<String>> {
    let mut lines: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for number in codes {
        let code = ErrorCode::ALL.iter().find(|code| code.number() == *number);
        let meaning = code.map_or("", |code| code.meaning());
        let line = format!("- `error_code` {number}: {meaning}");
        lines.entry(http_status(*number)).or_default().push(line);
    }
    lines
}

/// Returns the group that a path is listed in.
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
    fn referenced_components_exist() {
        let document = serde_json::to_value(document()).unwrap();
        let references = references(&document);
        assert!(references.len() > 100, "{}", references.len());
        for name in references {
            let name = name.strip_prefix("#/components/schemas/").unwrap();
            assert!(
                document["components"]["schemas"].get(name).is_some(),
                "{name}"
            );
        }
    }

    // Conformance: registry/rest-4
    #[test]
    fn path_parameters_are_documented() {
        let document = serde_json::to_value(document()).unwrap();
        for (path, operations) in document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let parameters = operation["parameters"].as_array();
                let parameters = parameters.into_iter().flatten();
                let names: BTreeSet<String> = parameters
                    .filter(|parameter| parameter["in"] == "path")
                    .map(|parameter| format!("{{{}}}", parameter["name"].as_str().unwrap()))
                    .collect();
                let segments = path.split('/').filter(|segment| segment.starts_with('{'));
                let segments: BTreeSet<String> = segments.map(str::to_owned).collect();
                assert_eq!(names, segments, "{method} {path}");
            }
        }
    }

    #[test]
    fn repeatable_parameters_are_arrays() {
        let document = serde_json::to_value(document()).unwrap();
        let parameters = &document["paths"]["/subjects/{subject}/metadata"]["get"]["parameters"];
        let parameters = parameters.as_array().unwrap();
        let key = parameters.iter().find(|one| one["name"] == "key").unwrap();
        assert_eq!(key["schema"]["type"], "array");
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
