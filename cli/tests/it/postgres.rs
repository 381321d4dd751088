//! Registry processes on one PostgreSQL. Ignored by plain `cargo test`, which needs only Rust; run
//! by `tests/run postgres`.

use std::collections::BTreeSet;
use std::path::Path;
use std::thread;

use reqwest::Client;
use serde_json::{Value, json};
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

/// Status and JSON of an answer; without a body it is a GET.
async fn call(client: &Client, node: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let url = format!("http://{node}{path}");
    let request = match body {
        Some(body) => client.post(url).json(&body),
        None => client.get(url),
    };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// Registers on one node and reads on the other; the ids that were given out.
async fn write(nodes: [String; 2], writer: usize) -> Vec<i64> {
    let client = Client::new();
    let (here, there) = (&nodes[writer % 2], &nodes[(writer + 1) % 2]);
    let mut ids = Vec::new();
    for step in 0..SCHEMAS {
        let name = format!("Own{writer}x{step}");
        let schema = json!({ "type": "fixed", "name": name, "size": 4 }).to_string();
        let path = format!("/subjects/{name}/versions");
        let body = json!({ "schema": schema });
        let (status, registered) = call(&client, here, &path, Some(body)).await;
        assert_eq!(status, 200, "{registered}");
        let id = registered["id"].as_i64().unwrap();
        let (_, latest) = call(&client, there, &format!("{path}/latest"), None).await;
        assert_eq!(latest["id"], id, "{latest}");
        let (_, by_id) = call(&client, there, &format!("/schemas/ids/{id}"), None).await;
        assert_eq!(by_id["schema"], schema, "{by_id}");
        // A subject that all write to, where each promotion is fine after int and none back.
        let promoted = ["\"long\"", "\"float\"", "\"double\"", "\"string\""][writer / 2];
        let shared = json!({ "schema": promoted });
        let (status, answer) = call(&client, here, "/subjects/shared/versions", Some(shared)).await;
        assert!([200, 409].contains(&status), "{answer}");
        ids.push(id);
    }
    ids
}

// Conformance: registry/stores-5
#[test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
fn eight_writers_on_two_processes_get_dense_ids_and_versions_and_read_them_on_the_other() {
    let root = tempdir().unwrap();
    let postgres = TestPostgres::start();
    let (first, second) = (
        start(root.path(), "a", &postgres),
        start(root.path(), "b", &postgres),
    );
    let nodes = [first.http(), second.http()];
    let runtime = Runtime::new().unwrap();
    let registered = runtime.block_on(async {
        let int = json!({ "schema": "\"int\"" });
        call(
            &Client::new(),
            &nodes[0],
            "/subjects/shared/versions",
            Some(int),
        )
        .await;
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
        let shared = i64::try_from(versions.len()).unwrap();
        let ids: BTreeSet<i64> = registered.iter().copied().collect();
        let all = i64::try_from(WRITERS * SCHEMAS).unwrap() + shared;
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
fn without_its_database_a_process_lives_but_takes_no_work_until_it_is_back() {
    let root = tempdir().unwrap();
    let postgres = TestPostgres::start();
    let node = start(root.path(), "a", &postgres);
    let http = node.http();
    let until_ready_is = |expected| {
        // Each question takes a while; the bound only ends a failing run.
        let asked = (0..6_000).any(|_| {
            thread::sleep(std::time::Duration::from_millis(10));
            http_status(&http, "GET", "/readyz").0 == expected
        });
        assert!(asked, "/readyz never answered {expected}");
    };
    until_ready_is(200);
    postgres.stop();
    until_ready_is(503);
    assert_eq!(http_status(&http, "GET", "/livez").0, 200);
    let (status, body) = http_status(&http, "GET", "/subjects");
    assert!(status == 500 && body.contains("50001"), "{status} {body}");
    postgres.resume();
    until_ready_is(200);
    assert_eq!(http_status(&http, "GET", "/subjects").1, "[]");
    assert_eq!(node.stop("-TERM").0, Some(0));
}

// Conformance: registry/stores-9
#[test]
#[ignore = "needs PostgreSQL: tests/run postgres"]
fn a_database_that_refuses_is_one_line_without_the_password() {
    let root = tempdir().unwrap();
    let postgres = TestPostgres::start();
    let refused = |url: &str| {
        let mut serve = avouch(root.path());
        serve.args(["serve", "--registry-only", "--http-listen", "127.0.0.1:0"]);
        let output = serve.args(["--registry-db", url]).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let line = String::from_utf8(output.stderr).unwrap();
        assert_eq!(line.lines().count(), 1, "{line}");
        assert!(!line.contains("s3cret"), "{line}");
        line
    };
    let wrong = refused(&postgres.url_with("s3cret"));
    assert!(
        wrong.contains("refuses: password authentication failed"),
        "{wrong}"
    );
    postgres.stop();
    let away = refused(&postgres.url());
    assert!(away.contains("cannot be reached"), "{away}");
}
