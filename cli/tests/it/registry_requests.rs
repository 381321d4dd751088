//! Metrics and log lines of requests to the registry.

use serde_json::Value;
use tempfile::tempdir;

use crate::node::{Node, avouch, http, http_status};

const JSON: &str = "Content-Type: application/json";

// Conformance: registry/rest-15
#[test]
fn registry_responses_without_handler_are_counted() {
    let root = tempdir().unwrap();
    let node = Node::start(root.path(), &["--data-dir", "data"]);
    let address = node.http();
    let cases = [
        ("GET", "/subjects", "Accept: text/html", 406),
        ("POST", "/subjects/s", "Content-Type: text/plain", 415),
        ("PATCH", "/nowhere", JSON, 404),
        ("GET", "/nowhere/else", JSON, 404),
        ("GET", "/subjects/s/versions", JSON, 404),
    ];
    for (method, path, header, expected) in cases {
        let (status, body) = http(&address, method, path, &[header], "");
        assert_eq!(status, expected, "{method} {path}: {body}");
    }
    let counted = [
        ("GET", "/subjects", 406),
        ("POST", "/subjects/{subject}", 415),
        ("other", "unknown", 404),
        ("GET", "unknown", 404),
        ("GET", "/subjects/{subject}/versions", 404),
    ];
    for (method, route, status) in counted {
        let labels = format!("{{method=\"{method}\",route=\"{route}\",status=\"{status}\"}}");
        assert_eq!(
            metric(&address, "avouch_registry_requests_total", &labels),
            1
        );
    }
    let labels = "{method=\"GET\",route=\"/subjects\"}";
    assert_eq!(
        metric(&address, "avouch_registry_request_seconds_count", labels),
        1
    );
}

// Conformance: registry/rest-15
#[test]
fn schemas_of_a_plan_are_counted_separately() {
    let root = tempdir().unwrap();
    let node = Node::start(root.path(), &["--data-dir", "data"]);
    let address = node.http();
    let apply = |subjects: &str| {
        let body = format!("{{\"subjects\":[{subjects}]}}");
        http(&address, "POST", "/v1/apply", &[JSON], &body).0
    };
    let text = r#"{"subject":"a","schema":"\"string\""}"#;
    let other = r#"{"subject":"b","schema":"\"string\""}"#;
    let wrong = r#"{"subject":"a","schema":"\"int\""}"#;
    assert_eq!(apply(text), 200);
    assert_eq!(apply(&format!("{text},{other}")), 200);
    // Nothing of the plan is registered, so only its rejection is counted.
    assert_eq!(apply(&format!("{other},{wrong}")), 409);
    for (outcome, count) in [("added", 2), ("existing", 1), ("incompatible", 1)] {
        let labels = format!("{{outcome=\"{outcome}\"}}");
        let found = metric(&address, "avouch_registry_registrations_total", &labels);
        assert_eq!(found, count, "{outcome}");
    }
}

// Conformance: registry/rest-15
#[test]
fn changes_are_logged_with_request_id() {
    let root = tempdir().unwrap();
    let mut command = avouch(root.path());
    command.env("AVOUCH_LOG_FORMAT", "json");
    command.env("AVOUCH_LOG", "info,sqlx=debug");
    let node = Node::start_with(command, root.path(), &["--data-dir", "data"]);
    let headers = [JSON, "X-Request-ID: deploy-42"];
    let body = r#"{"schema":"\"string\""}"#;
    let (status, response) = http(&node.http(), "POST", "/subjects/s/versions", &headers, body);
    assert_eq!(status, 200, "{response}");
    let (_, stderr) = node.stop("-TERM");

    let lines: Vec<Value> = stderr
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line["spans"][0]["request_id"] == "deploy-42")
        .collect();
    let completed = lines
        .iter()
        .find(|line| line["message"] == "request completed");
    assert_eq!(completed.unwrap()["status"], 200, "{stderr}");
    let inserted = |line: &Value| {
        line.to_string()
            .to_ascii_lowercase()
            .contains("insert into")
    };
    assert!(lines.iter().any(inserted), "{stderr}");
}

/// Returns the value of a metric with these labels, 0 if there is none.
fn metric(address: &str, name: &str, labels: &str) -> u64 {
    let (status, text) = http_status(address, "GET", "/metrics");
    assert_eq!(status, 200);
    let wanted = format!("{name}{labels} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&wanted));
    line.map_or(0, |value| value.parse().unwrap())
}
