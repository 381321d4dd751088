//! The OpenAPI document of a running node, compared with the routes that the node serves.

use serde_json::Value;
use tempfile::tempdir;

use crate::node::{Node, http_status};

const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

// Conformance: registry/rest-4
#[test]
fn served_routes_equal_documented_routes() {
    let root = tempdir().unwrap();
    let node = Node::start(root.path(), &["--data-dir", "data"]);
    let document = document(&node);
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/metrics",
        "/livez",
        "/readyz",
        "/openapi.json",
        "/v1/backups",
        "/v1/contracts/violations",
        "/subjects",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    for (path, documented) in paths {
        for method in METHODS {
            let is_documented = documented.get(method).is_some();
            assert_eq!(
                is_served(&node, method, &concrete(path)),
                is_documented,
                "{method} {path}"
            );
        }
    }
    assert!(!is_served(&node, "get", "/nowhere"));
}

// Conformance: registry/rest-4
#[test]
fn registry_paths_are_served_within_context() {
    let root = tempdir().unwrap();
    let node = Node::start(root.path(), &["--data-dir", "data"]);
    let document = document(&node);
    assert_eq!(document["servers"][1]["url"], "/contexts/{context}");
    for (path, documented) in document["paths"].as_object().unwrap() {
        let within = format!("/contexts/.c{}", concrete(path));
        if documented.get("get").is_some() {
            let has_contexts = documented.get("servers").is_none();
            assert_eq!(is_served(&node, "get", &within), has_contexts, "{within}");
        }
    }
}

// Conformance: registry/rest-4
#[test]
fn registry_only_node_documents_no_broker_route() {
    let root = tempdir().unwrap();
    let node = Node::start(root.path(), &["--data-dir", "data", "--registry-only"]);
    let document = document(&node);
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.contains_key("/subjects") && paths.contains_key("/livez"));
    assert!(!paths.contains_key("/v1/contracts/violations"));
}

fn document(node: &Node) -> Value {
    let (status, body) = http_status(&node.http(), "GET", "/openapi.json");
    assert_eq!(status, 200, "{body}");
    let document: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    document
}

fn concrete(path: &str) -> String {
    let path = path.replace("{id}", "1").replace("{version}", "1");
    path.replace(['{', '}'], "")
}

/// Returns true if the route exists, whatever its response.
fn is_served(node: &Node, method: &str, path: &str) -> bool {
    let (status, body) = http_status(&node.http(), &method.to_ascii_uppercase(), path);
    let unknown = body.contains("HTTP 404 Not Found");
    status != 405 && !unknown
}
