//! The registry with the clients that others wrote, and the shape of its answers where clients are
//! touchy.

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

/// Another one makes other requests.
const OPENAPI_SEED: &str = "20261128";

// Conformance: main-job/5a, registry/judges
#[test]
fn confluent_kafkas_registry_client_gets_every_answer_it_expects() -> Result<()> {
    answers_are(python("registry.py"), "sync", "confluent-kafka")
}

// Conformance: main-job/5a, registry/judges
#[test]
fn confluent_kafkas_async_registry_client_gets_every_answer_it_expects() -> Result<()> {
    answers_are(python("registry.py"), "async", "confluent-kafka")
}

// Conformance: registry/judges
#[test]
fn confluents_javascript_registry_client_gets_every_answer_it_expects() -> Result<()> {
    answers_are(javascript(), "confluent", "confluent-javascript")
}

/// This client tells the status of a refusal, but not its code.
// Conformance: registry/judges
#[test]
fn kafkajs_registry_client_gets_every_answer_it_expects() -> Result<()> {
    answers_are(javascript(), "kafkajs", "kafkajs")
}

/// Requests made from the OpenAPI document, by a seed that repeats a run.
// Conformance: registry/rest-14
#[test]
fn no_request_that_the_document_allows_gets_an_answer_that_it_does_not_know() -> Result<()> {
    let node = Node::start()?;
    let mut command = python("openapi.py");
    command.arg(node.url()).arg(OPENAPI_SEED);
    let events = Running::start(&mut command)?.finish()?;
    let told: Vec<Value> = events.iter().filter_map(told).collect();
    let seed: u64 = OPENAPI_SEED.parse()?;
    assert_eq!(told, [json!({"seed": seed, "status": 0})], "seed {seed}");
    Ok(())
}

// Conformance: main-job/5b
#[test]
fn every_route_answers_errors_in_confluents_shape() -> Result<()> {
    let node = Node::start()?;
    register(&node.url(), "greetings-value", r#""string""#)?;
    let cases = [
        (Method::GET, "/nowhere", 404, 404),
        (Method::POST, "/nowhere/at/all", 404, 404),
        (Method::PUT, "/associations/resources/payments", 404, 404),
        (Method::POST, "/associations", 404, 404),
        (Method::GET, "/v1/nothing", 404, 404),
        (Method::DELETE, "/schemas/types", 405, 405),
        (Method::GET, "/schemas/ids/99", 404, 40403),
        (Method::GET, "/subjects/nobody/versions", 404, 40401),
        (Method::GET, "/subjects/nobody/versions/1", 404, 40401),
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
        (Method::GET, "/config/nobody", 404, 40408),
        (Method::DELETE, "/subjects/nobody", 404, 40401),
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
fn refused_schemas_are_told_apart_by_their_codes() -> Result<()> {
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
        let (found, answer) = request(&node.url(), Method::POST, path, Some(&body))?;
        let shape = (found, &answer["error_code"]);
        assert_eq!(shape, (status, &json!(code)), "{path} {body}: {answer}");
    }
    Ok(())
}

#[test]
fn the_root_answers_an_empty_object() -> Result<()> {
    let node = Node::start()?;
    let (status, body) = request(&node.url(), Method::GET, "/", None)?;
    assert_eq!((status, body), (200, json!({})));
    Ok(())
}

fn javascript() -> Command {
    let mut command = Command::new("node");
    command.arg(checkout().join("tests/clients/node/registry.js"));
    command
}

/// Runs a program that drives a client of this kind, and compares what each call came to with the
/// lines of a file: an object each, with `call` and `result`.
fn answers_are(mut command: Command, kind: &str, expected: &str) -> Result<()> {
    let node = Node::start()?;
    let root = checkout();
    command
        .args([kind, &node.url()])
        .arg(root.join("schemas/payments-value"))
        .arg(root.join("tests/data/payments-incompatible.avsc"));
    let events = Running::start(&mut command)?.finish()?;
    let told: Vec<Value> = events.iter().filter_map(told).collect();
    let lines = file(&format!("tests/data/registry-clients/{expected}.jsonl"))?;
    for (number, line) in lines.lines().enumerate() {
        let expected: Value = serde_json::from_str(line)?;
        assert_eq!(told.get(number), Some(&expected), "call {number}");
    }
    assert_eq!(told.len(), lines.lines().count());
    Ok(())
}

fn told(event: &Event) -> Option<Value> {
    match event {
        Event::Told(value) => Some(value.clone()),
        _ => None,
    }
}
