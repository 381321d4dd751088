//! The registry with the clients that others wrote, and the shape of its answers where clients are
//! touchy.

use std::process::Command;

use anyhow::Result;
use avouch_tests::checkout;
use avouch_tests::family::python;
use avouch_tests::node::Node;
use avouch_tests::program::{Event, Running};
use avouch_tests::registry::{register, request};
use reqwest::Method;
use serde_json::{Value, json};

#[test]
fn confluent_kafkas_registry_client_gets_every_answer_it_expects() -> Result<()> {
    answers_are_as_expected("sync")
}

#[test]
fn confluent_kafkas_async_registry_client_gets_every_answer_it_expects() -> Result<()> {
    answers_are_as_expected("async")
}

#[test]
fn confluents_javascript_registry_client_gets_every_answer_it_expects() -> Result<()> {
    let subject = "payments-value";
    let expected = [
        ("getAllSubjects", json!([])),
        ("getDefaultCompatibility", json!("BACKWARD")),
        ("register", json!(1)),
        ("register", json!(1)),
        ("getId", json!(1)),
        ("getBySubjectAndId", json!(true)),
        ("testCompatibility", json!(true)),
        ("testSubjectCompatibility", json!(false)),
        ("register", json!("409 40901")),
        ("register", json!(2)),
        ("getAllVersions", json!([1, 2])),
        ("getLatestSchemaMetadata", json!([subject, 2, 2])),
        ("getSchemaMetadata", json!([subject, 1, 1])),
        ("getVersion", json!(2)),
        ("updateCompatibility", json!("FULL")),
        ("updateConfig", json!(["FULL", "major"])),
        ("getConfig", json!("FULL")),
        ("getAllVersions", json!("404 40401")),
        ("register", json!("422 42201")),
        ("getAssociationsByResourceName", json!([])),
        ("serialize", json!("hi")),
        ("deleteSubjectVersion", json!(1)),
        ("deleteSubject", json!([2])),
        ("deleteSubject", json!([1, 2])),
        ("deleteSubject", json!("404 40401")),
    ];
    javascript_answers_are("confluent", &expected)
}

#[test]
fn kafkajs_registry_client_gets_every_answer_it_expects() -> Result<()> {
    // This client tells the status of a refusal, but not its code.
    let expected = [
        ("register", json!(1)),
        ("register", json!(1)),
        ("register", json!(2)),
        ("register", json!("409 undefined")),
        ("getLatestSchemaId", json!(2)),
        ("getRegistryId", json!(1)),
        ("getRegistryIdBySchema", json!(1)),
        ("getLatestSchemaId", json!("404 undefined")),
        ("encode", json!("hi")),
        ("getSchema", json!("404 undefined")),
    ];
    javascript_answers_are("kafkajs", &expected)
}

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

fn answers_are_as_expected(kind: &str) -> Result<()> {
    let subject = "payments-value";
    let expected = [
        ("get_schema_types", json!(["JSON", "PROTOBUF", "AVRO"])),
        ("get_subjects", json!([])),
        ("get_global_mode", json!("READWRITE")),
        ("get_compatibility", json!("BACKWARD")),
        ("register_schema", json!(1)),
        ("register_schema", json!(1)),
        ("get_schema", json!(true)),
        ("lookup_schema", json!([subject, 1, 1])),
        ("lookup_schema", json!("404 40403")),
        ("test_compatibility", json!(true)),
        ("test_compatibility", json!(false)),
        ("register_schema", json!("409 40901")),
        ("register_schema", json!(2)),
        ("get_latest_version", json!([subject, 2, 2])),
        ("get_version", json!([subject, 1, 1])),
        ("get_versions", json!([1, 2])),
        ("get_subjects_by_schema_id", json!([subject])),
        ("set_compatibility", json!("FULL")),
        ("get_compatibility", json!("FULL")),
        ("get_subjects", json!([subject])),
        ("get_schema", json!("404 40403")),
        ("get_versions", json!("404 40401")),
        ("get_version", json!("404 40402")),
        ("register_schema", json!("422 42201")),
        ("get_associations_by_resource_name", json!([])),
    ];
    answers_are(python("registry.py"), kind, &expected)
}

fn javascript_answers_are(kind: &str, expected: &[(&str, Value)]) -> Result<()> {
    let mut command = Command::new("node");
    command.arg(checkout().join("tests/clients/node/registry.js"));
    answers_are(command, kind, expected)
}

/// Runs a program that drives a client of this kind, and compares what each call came to.
fn answers_are(mut command: Command, kind: &str, expected: &[(&str, Value)]) -> Result<()> {
    let node = Node::start()?;
    let root = checkout();
    command
        .args([kind, &node.url()])
        .arg(root.join("schemas/payments-value"))
        .arg(root.join("tests/data/payments-incompatible.avsc"));
    let events = Running::start(&mut command)?.finish()?;
    let told: Vec<Value> = events.iter().filter_map(told).collect();
    for (number, (call, result)) in expected.iter().enumerate() {
        let expected = json!({"call": call, "result": result});
        assert_eq!(told.get(number), Some(&expected), "call {number}");
    }
    assert_eq!(told.len(), expected.len());
    Ok(())
}

fn told(event: &Event) -> Option<Value> {
    match event {
        Event::Told(value) => Some(value.clone()),
        _ => None,
    }
}
