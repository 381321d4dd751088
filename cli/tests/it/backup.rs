//! `avouch backup` and `avouch restore`: what they accept and reject, and interrupted backups.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::tempdir;

use crate::node::{Node, avouch, http, http_status};

const JSON: &str = "Content-Type: application/json";

/// Runs a command in `root` and returns its exit code, stdout and stderr.
fn run(root: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = avouch(root).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn back_up(root: &Path, node: &Node, to: &str) -> String {
    let url = format!("http://{}", node.http());
    let (code, out, errors) = run(root, &["backup", "--to", to, "--http", &url]);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{out}");
    out
}

fn register(node: &Node, subject: &str) -> Value {
    let body = r#"{"schema": "\"string\""}"#;
    let path = format!("/subjects/{subject}/versions");
    let (status, body) = http(&node.http(), "POST", &path, &[JSON], body);
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

fn start_backup(node: &Node, to: &Path) -> (u16, Value) {
    let body = json!({ "to": to }).to_string();
    let (status, body) = http(&node.http(), "POST", "/v1/backups", &[JSON], &body);
    (status, serde_json::from_str(&body).unwrap())
}

// Conformance: operation/backup-5
#[test]
fn restore_changes_nothing_unless_backup_is_intact() {
    let root = tempdir().unwrap();
    let node = Node::start(root.path(), &["--data-dir", "data"]);
    register(&node, "s");
    let out = back_up(root.path(), &node, "backup");
    assert!(
        out.starts_with("backup of ") && out.lines().count() == 1,
        "{out}"
    );
    // No node starts on the backup itself.
    let (code, _, errors) = run(root.path(), &["serve", "--data-dir", "backup/data"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("use avouch restore"), "{errors}");

    let reject = |from: &str, data_dir: &str, part: &str| {
        let restore = ["restore", "--from", from, "--data-dir", data_dir];
        let (code, out, errors) = run(root.path(), &restore);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{errors}");
        assert!(errors.contains(part), "{errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
    };
    reject("backup", "data", "data is not empty");
    reject("data", "new", "is not a complete backup");
    let database = root.path().join("backup/data/registry.sqlite");
    let intact = fs::read(&database).unwrap();
    let mut corrupt = intact.clone();
    *corrupt.last_mut().unwrap() ^= 1;
    fs::write(&database, corrupt).unwrap();
    reject("backup", "new", "registry.sqlite is corrupt");
    let (code, _, errors) = run(root.path(), &["backup", "verify", "backup"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("registry.sqlite is corrupt"), "{errors}");
    assert!(!root.path().join("new").exists());

    fs::write(&database, intact).unwrap();
    fs::create_dir(root.path().join("new")).unwrap();
    let restore = ["restore", "--from", "backup", "--data-dir", "new"];
    let (code, out, errors) = run(root.path(), &restore);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert!(out.contains("avouch serve --data-dir new"), "{out}");
    let restored = Node::start(root.path(), &["--data-dir", "new"]);
    let (status, body) = http_status(&restored.http(), "GET", "/subjects");
    assert_eq!((status, body.as_str()), (200, r#"["s"]"#));
}

// Conformance: operation/backup-6
#[test]
fn unsuitable_directories_are_rejected() {
    let root = tempdir().unwrap();
    let node = Node::start(root.path(), &["--data-dir", "data"]);
    for (to, part) in [
        (root.path().join("data/backup"), "inside the data directory"),
        (root.path().to_owned(), "is not empty"),
        ("backup".into(), "is not an absolute path"),
    ] {
        let (status, body) = start_backup(&node, &to);
        assert_eq!(status, 400, "{body}");
        assert!(body["message"].as_str().unwrap().contains(part), "{body}");
    }
    assert!(!root.path().join("data/backup").exists());
    let (status, body) = http_status(&node.http(), "GET", "/v1/backups/1");
    assert_eq!(status, 404, "{body}");
}

// Conformance: operation/backup-7
#[test]
fn registry_only_node_backs_up_its_registry() {
    let root = tempdir().unwrap();
    let registry = Node::start(root.path(), &["--data-dir", "data", "--registry-only"]);
    let before = register(&registry, "s");
    back_up(root.path(), &registry, "backup");
    let manifest = fs::read(root.path().join("backup/manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    assert_eq!(manifest["parts"], json!(["registry"]));
    assert_eq!(manifest["omitted"], Value::Null);
    let restore = ["restore", "--from", "backup", "--data-dir", "new"];
    assert_eq!(run(root.path(), &restore).0, Some(0));
    let restored = Node::start(root.path(), &["--data-dir", "new", "--registry-only"]);
    assert_eq!(register(&restored, "s")["id"], before["id"]);
}

/// The broker's file with known schemas is a pipe without a writer, so its copy never ends.
#[cfg(target_os = "linux")]
// Conformance: operation/backup-4, operation/backup-7
#[test]
fn killed_node_leaves_an_incomplete_backup() {
    let root = tempdir().unwrap();
    let flags = [
        "--data-dir",
        "data",
        "--broker-only",
        "--registry-url",
        "http://127.0.0.1:9",
    ];
    let node = Node::start(root.path(), &flags);
    let pipe = root.path().join("data/schemas.json");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let to = root.path().join("backup");
    let (status, body) = start_backup(&node, &to);
    assert_eq!((status, &body["id"]), (202, &json!(1)), "{body}");
    assert_eq!(body["parts"], json!(["broker"]));
    assert_eq!(body["omitted"], "remote");
    let (status, body) = start_backup(&node, &root.path().join("second"));
    assert_eq!(status, 409, "{body}");
    assert!(!root.path().join("second").exists());
    let (_, body) = http_status(&node.http(), "GET", "/v1/backups/1");
    assert!(body.contains(r#""state":"running""#), "{body}");
    node.stop("-KILL");
    fs::remove_file(pipe).unwrap();

    let restore = ["restore", "--from", "backup", "--data-dir", "new"];
    let (code, _, errors) = run(root.path(), &restore);
    assert_eq!(code, Some(1));
    assert!(errors.contains("is not a complete backup"), "{errors}");
    let node = Node::start(root.path(), &flags);
    let (status, body) = start_backup(&node, &to);
    assert_eq!(status, 400, "{body}");
    let out = back_up(root.path(), &node, "other");
    assert!(
        out.contains("the registry at registry-url is not part"),
        "{out}"
    );
}
