//! The registry with third-party clients, and the form of its error responses, which clients depend
//! on.

mod rust;

use std::process::Command;

use anyhow::Result;
use avouch_tests::checkout;
use avouch_tests::family::python;
use avouch_tests::node::Node;
use avouch_tests::program::{Event, Running};
use avouch_tests::registry::{file, register, request};
use reqwest::Method;
use serde_json::{Value, json};

/// Seed of the generated requests.
const OPENAPI_SEED: &str = "20261128";

// Conformance: main-job/5a, registry/clients
#[test]
fn confluent_kafka_registry_client_works() -> Result<()> {
    compare_results(python("registry.py"), "sync", "confluent-kafka")
}

// Conformance: main-job/5a, registry/clients
#[test]
fn confluent_kafka_async_registry_client_works() -> Result<()> {
    compare_results(python("registry.py"), "async", "confluent-kafka")
}

// Conformance: registry/clients
#[test]
fn confluent_javascript_registry_client_works() -> Result<()> {
    compare_results(javascript(), "confluent", "confluent-javascript")
}

/// This client exposes the HTTP status of an error response, but not its error code.
// Conformance: registry/clients
#[test]
fn kafkajs_registry_client_works() -> Result<()> {
    compare_results(javascript(), "kafkajs", "kafkajs")
}

/// Sends requests generated from the OpenAPI document; the seed makes a run reproducible.
// Conformance: registry/rest-14
#[test]
fn responses_conform_to_openapi_document() -> Result<()> {
    let node = Node::start()?;
    let mut command = python("openapi.py");
    command.arg(node.url()).arg(OPENAPI_SEED);
    let events = Running::start(&mut command)?.finish()?;
    let results: Vec<Value> = events.iter().filter_map(output).collect();
    let seed: u64 = OPENAPI_SEED.parse()?;
    assert_eq!(results, [json!({"seed": seed, "status": 0})], "seed {seed}");
    Ok(())
}

// Conformance: main-job/5b
#[test]
fn errors_have_confluents_shape() -> Result<()> {
    let node = Node::start()?;
    register(&node.url(), "greetings-value", r#""string""#)?;
    let cases = [
        (Method::GET, "/nowhere", 404, 404),
        (Method::POST, "/nowhere/at/all", 404, 404),
        // Newer APIs of Confluent, which this registry does not have.
        (Method::PUT, "/associations/resources/payments", 404, 404),
        (Method::POST, "/associations", 404, 404),
        (Method::GET, "/v1/nothing", 404, 404),
        // A known path with an unknown method.
        (Method::DELETE, "/schemas/types", 405, 405),
        (Method::GET, "/schemas/ids/99", 404, 40403),
        (Method::GET, "/subjects/unknown/versions", 404, 40401),
        (Method::GET, "/subjects/unknown/versions/1", 404, 40401),
        (
            Method::GET,
            "/subjects/greetings-value/versions/9",
            404,
            40402,
        ),
        (
            Method::GET,
            "/subjects/greetings-value/versions/0",
            422,
            42202,
        ),
        (Method::GET, "/config/unknown", 404, 40408),
        (Method::DELETE, "/subjects/unknown", 404, 40401),
    ];
    for (method, path, status, code) in cases {
        let (found, body) = request(&node.url(), method.clone(), path, None)?;
        let message = body["message"].as_str().unwrap_or_default();
        let shape = (found, &body["error_code"], message.is_empty());
        assert_eq!(
            shape,
            (status, &json!(code), false),
            "{method} {path}: {body}"
        );
    }
    Ok(())
}

// Conformance: main-job/5b
#[test]
fn rejected_schemas_have_distinct_codes() -> Result<()> {
    let node = Node::start()?;
    register(&node.url(), "greetings-value", r#""string""#)?;
    let cases = [
        (
            "/subjects/s/versions",
            json!({"schema": "{\"type\": \"recrod\"}"}),
            422,
            42201,
        ),
        (
            "/subjects/s/versions",
            // Confluent uses the same code for an invalid schema and for an unknown type.
            json!({"schema": "\"string\"", "schemaType": "XML"}),
            422,
            42201,
        ),
        ("/subjects/s", json!({"schema": "\"string\""}), 404, 40401),
        (
            "/subjects/greetings-value",
            json!({"schema": "\"int\""}),
            404,
            40403,
        ),
    ];
    for (path, body, status, code) in cases {
        let (found, response) = request(&node.url(), Method::POST, path, Some(&body))?;
        let shape = (found, &response["error_code"]);
        assert_eq!(shape, (status, &json!(code)), "{path} {body}: {response}");
    }
    Ok(())
}

#[test]
fn root_returns_empty_object() -> Result<()> {
    let node = Node::start()?;
    let (status, body) = request(&node.url(), Method::GET, "/", None)?;
    // Health checks often request this path.
    assert_eq!((status, body), (200, json!({})));
    Ok(())
}

fn javascript() -> Command {
    let mut command = Command::new("node");
    command.arg(checkout().join("tests/clients/node/registry.js"));
    command
}

/// Runs a client program and compares the result of each call with a line of the expected file: a
/// JSON object with `call` and `result`.
fn compare_results(mut command: Command, kind: &str, expected: &str) -> Result<()> {
    let node = Node::start()?;
    let root = checkout();
    command
        .args([kind, &node.url()])
        .arg(root.join("schemas/payments-value"))
        .arg(root.join("tests/data/payments-incompatible.avsc"));
    let events = Running::start(&mut command)?.finish()?;
    let results: Vec<Value> = events.iter().filter_map(output).collect();
    let lines = file(&format!("tests/data/registry-clients/{expected}.jsonl"))?;
    for (number, line) in lines.lines().enumerate() {
        let expected: Value = serde_json::from_str(line)?;
        assert_eq!(results.get(number), Some(&expected), "call {number}");
    }
    assert_eq!(results.len(), lines.lines().count());
    Ok(())
}

fn output(event: &Event) -> Option<Value> {
    match event {
        Event::Output(value) => Some(value.clone()),
        _ => None,
    }
}
