//! Registry processes that share a PostgreSQL database. `tests/run postgres` runs these tests;
//! plain `cargo test` ignores them, because it needs only Rust.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;

use avouch_registry_api::client::{
    ClientError, RegisterOptions, RegistryClient, SchemaOptions, VersionOptions,
};
use avouch_registry_api::error::ErrorCode;
use avouch_registry_api::rest::RegisterRequest;
use avouch_registry_api::types::{SchemaId, VersionSelector};
use serde_json::json;
use tempfile::tempdir;
use tokio::runtime::Runtime;

use crate::node::{Node, avouch, http_status};
use crate::test_postgres::TestPostgres;

const WRITERS: usize = 8;
const SCHEMAS: usize = 10;

fn start(directory: &Path, name: &str, postgres: &TestPostgres) -> Node {
    let database = postgres.url();
    let flags = [
        "--registry-only",
        "--data-dir",
        name,
        "--registry-db",
        &database,
    ];
    Node::start(directory, &flags)
}

fn client(node: &str) -> RegistryClient {
    RegistryClient::new(&format!("http://{node}")).unwrap()
}

async fn register(
    client: &RegistryClient,
    subject: &str,
    schema: &str,
) -> Result<SchemaId, ClientError> {
    let request = RegisterRequest::avro(schema);
    let registered = client.register(subject, &request, RegisterOptions::default());
    Ok(registered.await?.id.unwrap())
}

/// Registers on one node and reads on the other; returns the assigned ids.
async fn write(nodes: [String; 2], writer: usize) -> Vec<i32> {
    let (here, there) = (client(&nodes[writer % 2]), client(&nodes[(writer + 1) % 2]));
    let mut ids = Vec::new();
    for step in 0..SCHEMAS {
        let name = format!("Own{writer}x{step}");
        let schema = json!({ "type": "fixed", "name": name, "size": 4 }).to_string();
        let id = register(&here, &name, &schema).await.unwrap();
        let latest = VersionSelector::Latest;
        let latest = there.version(&name, latest, VersionOptions::default());
        assert_eq!(latest.await.unwrap().id, Some(id));
        let by_id = there.schema(id, SchemaOptions::default()).await.unwrap();
        assert_eq!(by_id.schema, schema);
        // All writers share this subject, where each promotion is compatible with int and none with
        // a wider type.
        let promoted = ["\"long\"", "\"float\"", "\"double\"", "\"string\""][writer / 2];
        if let Err(error) = register(&here, "shared", promoted).await {
            assert!(error.is(ErrorCode::Incompatible), "{error}");
        }
        ids.push(id.get());
    }
    ids
}

// Conformance: registry/stores-5
#[test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
fn concurrent_writers_on_two_processes_are_consistent() {
    let root = tempdir().unwrap();
    let postgres = TestPostgres::start();
    let (first, second) = (
        start(root.path(), "a", &postgres),
        start(root.path(), "b", &postgres),
    );
    let nodes = [first.http(), second.http()];
    let runtime = Runtime::new().unwrap();
    let registered = runtime.block_on(async {
        register(&client(&nodes[0]), "shared", "\"int\"")
            .await
            .unwrap();
        let writers = (0..WRITERS).map(|writer| tokio::spawn(write(nodes.clone(), writer)));
        let writers: Vec<_> = writers.collect();
        let mut registered = Vec::new();
        for writer in writers {
            registered.extend(writer.await.unwrap());
        }
        registered
    });
    let order = ["\"int\"", "\"long\"", "\"float\"", "\"double\""];
    for node in &nodes {
        let (_, versions) = http_status(node, "GET", "/subjects/shared/versions");
        let versions: Vec<usize> = serde_json::from_str(&versions).unwrap();
        assert_eq!(versions, (1..=versions.len()).collect::<Vec<_>>());
        let widths = versions.iter().map(|version| {
            let path = format!("/subjects/shared/versions/{version}/schema");
            let (_, text) = http_status(node, "GET", &path);
            order.iter().position(|known| *known == text).unwrap()
        });
        let widths: Vec<usize> = widths.collect();
        assert!(widths.is_sorted_by(|a, b| a < b), "{widths:?}");
        let shared = i32::try_from(versions.len()).unwrap();
        let ids: BTreeSet<i32> = registered.iter().copied().collect();
        let all = i32::try_from(WRITERS * SCHEMAS).unwrap() + shared;
        assert_eq!(ids.len(), WRITERS * SCHEMAS, "unique");
        assert!(
            ids.iter().all(|id| (1..=all).contains(id)),
            "dense: {ids:?} of {all}"
        );
    }
    assert_eq!(first.stop("-TERM").0, Some(0));
    assert_eq!(second.stop("-TERM").0, Some(0));
    let file = root.path().join("a/registry.sqlite");
    assert!(!file.exists(), "the registry is elsewhere");
}

// Conformance: registry/stores-8
#[test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
fn stopped_database_makes_the_process_unready() {
    let root = tempdir().unwrap();
    let postgres = TestPostgres::start();
    let node = start(root.path(), "a", &postgres);
    let http = node.http();
    let until_ready_is = |expected| {
        // The bound only ends a failing run.
        let reached = (0..6_000).any(|_| {
            thread::sleep(std::time::Duration::from_millis(10));
            http_status(&http, "GET", "/readyz").0 == expected
        });
        assert!(reached, "/readyz never returned {expected}");
    };
    until_ready_is(200);
    postgres.stop();
    until_ready_is(503);
    assert_eq!(http_status(&http, "GET", "/livez").0, 200);
    let (status, body) = http_status(&http, "GET", "/subjects");
    assert!(status == 503 && body.contains("50001"), "{status} {body}");
    postgres.resume();
    until_ready_is(200);
    assert_eq!(http_status(&http, "GET", "/subjects").1, "[]");
    assert_eq!(node.stop("-TERM").0, Some(0));
}

// Conformance: registry/stores-9
#[test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
fn database_errors_do_not_contain_the_password() {
    let root = tempdir().unwrap();
    let postgres = TestPostgres::start();
    let error = |url: &str| {
        let mut serve = avouch(root.path());
        serve.args(["serve", "--registry-only", "--http-listen", "127.0.0.1:0"]);
        let output = serve.args(["--registry-db", url]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!line.contains("s3cret"), "{line}");
        line
    };
    let wrong = error(&postgres.url_with("s3cret"));
    assert!(
        wrong.contains("rejected the connection: password authentication failed"),
        "{wrong}"
    );
    postgres.stop();
    let away = error(&postgres.url());
    assert!(away.contains("unreachable"), "{away}");
}
