//! Tests of the binary: start, stop, startup errors, configuration, and the commands. They need
//! only Rust; `tests/` tests a running node with Kafka clients.

#![expect(clippy::unwrap_used, reason = "test helpers panic like their tests")]

mod backup;
mod broker_configs;
mod codegen;
mod documented;
mod documented_configs;
mod log;
mod log_lines;
mod lost_files;
mod metrics;
mod node;
mod postgres;
mod registry_requests;
mod schemas;
mod startup_errors;
#[path = "../../../registry/server/tests/support/postgres.rs"]
mod test_postgres;

use std::fs;

use avouch_registry_api::client::{RegisterOptions, RegistryClient};
use avouch_registry_api::rest::RegisterRequest;
use serde_json::Value;
use tempfile::tempdir;

use crate::node::{Node, avouch, http_status};

// Conformance: main-job/1a
#[test]
fn banner_and_ready_file_contain_the_addresses() {
    let root = tempdir().unwrap();
    let node = Node::start(root.path(), &["--data-dir", "data"]);

    let ready: Value = serde_json::from_slice(&fs::read(node.ready_file()).unwrap()).unwrap();
    assert_eq!(ready["pid"], node.pid());
    let (kafka, http) = (
        ready["kafka"].as_str().unwrap(),
        ready["http"].as_str().unwrap(),
    );
    assert!(!kafka.ends_with(":0") && !http.ends_with(":0"), "{ready}");
    let banner = node.banner();
    for part in [
        &format!("kafka       {kafka}"),
        &format!("registry    http://{http}"),
        "fsync",
    ] {
        assert!(banner.contains(part), "{part} in {banner}");
    }
    let commands = banner.split_once("try\n").unwrap().1.lines().count();
    assert_eq!(commands, 3, "{banner}");
    assert!(std::net::TcpStream::connect(kafka).is_ok());

    node.stop("-TERM");
}

// Conformance: main-job/1d
#[test]
fn stop_signals_drain_and_exit_with_0() {
    let root = tempdir().unwrap();
    for signal in ["-TERM", "-INT"] {
        let node = Node::start(root.path(), &["--data-dir", "data"]);
        let ready_file = node.ready_file();
        assert!(ready_file.exists());
        let (code, stderr) = node.stop(signal);
        assert_eq!(code, Some(0), "{signal}: {stderr}");
        assert!(!ready_file.exists());
    }
}

// Conformance: operation/2
#[test]
fn http_serves_health_metrics_and_errors() {
    let root = tempdir().unwrap();
    let node = Node::start(root.path(), &["--data-dir", "data"]);
    let cases = [
        ("GET", "/livez", 200, "alive"),
        ("GET", "/readyz", 200, "ready"),
        ("GET", "/metrics", 200, ""),
        ("GET", "/", 200, "{}"),
        ("GET", "/nowhere", 404, "\"error_code\":404"),
        ("POST", "/livez", 405, "\"error_code\":405"),
        ("DELETE", "/schemas/types", 405, "\"error_code\":405"),
    ];
    for (method, path, status, part) in cases {
        let (found, body) = http_status(&node.http(), method, path);
        assert_eq!(found, status, "{method} {path}: {body}");
        assert!(body.contains(part), "{method} {path}: {body}");
    }
    node.stop("-TERM");
}

// Conformance: main-job/1b
#[test]
fn flags_override_environment_file_and_defaults() {
    let root = tempdir().unwrap();
    let cases: [(&str, Option<&str>, &[&str], &str); 4] = [
        ("", None, &[], "avouch-data"),
        ("[serve]\ndata-dir = 'filed'", None, &[], "filed"),
        ("[serve]\ndata-dir = 'filed'", Some("env"), &[], "env"),
        (
            "[serve]\ndata-dir = 'filed'",
            Some("env"),
            &["--data-dir", "flag"],
            "flag",
        ),
    ];
    for (file, environment, flags, expected) in cases {
        fs::write(root.path().join("avouch.toml"), file).unwrap();
        let mut command = avouch(root.path());
        command.envs(environment.map(|value| ("AVOUCH_DATA_DIR", value)));
        let node = Node::start_with(command, root.path(), flags);
        assert!(root.path().join(expected).is_dir(), "{expected}");
        node.stop("-TERM");
    }
}

// Conformance: registry/rest-8
#[test]
fn registry_settings_come_from_every_source() {
    let root = tempdir().unwrap();
    let file = "[serve]\nregistry-only = true\nregistry-incompatible-code = 409\n";
    fs::write(root.path().join("avouch.toml"), file).unwrap();
    let mut command = avouch(root.path());
    command.env("AVOUCH_REGISTRY_COMPATIBILITY", "FULL");
    let flags = ["--registry-mode-mutable=false", "--registry-body-bytes=100"];
    let node = Node::start_with(command, root.path(), &flags);
    let level = r#"{"compatibilityLevel":"FULL"}"#.to_owned();
    assert_eq!(http_status(&node.http(), "GET", "/config"), (200, level));
    let (status, body) = http_status(&node.http(), "DELETE", "/mode");
    assert_eq!(status, 422);
    assert!(body.contains("Mode changes are not allowed"), "{body}");

    let client = RegistryClient::new(&format!("http://{}", node.http())).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let register = |schema: &str| {
        let request = RegisterRequest::avro(schema);
        let registered = client.register("s", &request, RegisterOptions::default());
        runtime.block_on(registered).err()?.error_code()
    };
    assert_eq!(register("\"int\""), None);
    assert_eq!(register("\"string\""), Some(409));
    assert_eq!(register(&" ".repeat(100)), Some(413));
    node.stop("-TERM");
}

// Conformance: main-job/1b
#[test]
fn every_environment_variable_has_an_effect() {
    let root = tempdir().unwrap();
    let environment = [
        ("AVOUCH_DATA_DIR", "from-env"),
        ("AVOUCH_KAFKA_LISTEN", "127.0.0.1:0"),
        ("AVOUCH_HTTP_LISTEN", "0.0.0.0:0"),
        ("AVOUCH_ALLOW_INSECURE_LISTEN", "true"),
        ("AVOUCH_ADVERTISE", "kafka.example:9092"),
        ("AVOUCH_DURABILITY", "os"),
        ("AVOUCH_LOW_SPACE_BYTES", "7"),
        ("AVOUCH_READY_FILE", "ready-from-env.json"),
    ];
    let mut command = avouch(root.path());
    command.envs(environment);
    let node = Node::start_bare(command, &root.path().join("ready-from-env.json"));
    assert!(root.path().join("from-env").is_dir());
    assert!(
        node.banner().contains("durability  os"),
        "{}",
        node.banner()
    );
    assert_eq!(http_status(&node.http(), "GET", "/subjects").0, 200);
    node.stop("-TERM");

    // Each of these causes an error.
    let errors = [
        (
            &[("AVOUCH_REGISTRY_ONLY", "1"), ("AVOUCH_BROKER_ONLY", "1")][..],
            "mutually exclusive",
        ),
        (&[("AVOUCH_BROKER_ONLY", "true")], "registry-url"),
        (&[("AVOUCH_REGISTRY_URL", "http://r")], "registry-url"),
        (&[("AVOUCH_REGISTRY_DB", "mysql://r")], "registry-db"),
        (&[("AVOUCH_CONFIG", "missing.toml")], "missing.toml"),
        (
            &[("AVOUCH_KAFKA_LISTEN", "0.0.0.0:0")],
            "allow-insecure-listen",
        ),
    ];
    for (environment, part) in errors {
        let mut command = avouch(root.path());
        let output = command
            .arg("serve")
            .envs(environment.to_vec())
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{environment:?}");
        assert!(stderr.contains(part), "{environment:?}: {stderr}");
    }
}

// Conformance: main-job/1f
#[test]
fn standalone_parts_serve_only_their_routes() {
    let root = tempdir().unwrap();
    let registry = Node::start(root.path(), &["--registry-only", "--data-dir", "registry"]);
    assert!(
        !registry.banner().contains("kafka"),
        "{}",
        registry.banner()
    );
    assert_eq!(
        http_status(&registry.http(), "GET", "/subjects"),
        (200, "[]".to_owned())
    );

    let url = format!("http://{}", registry.http());
    let flags = [
        "--broker-only",
        "--registry-url",
        &url,
        "--data-dir",
        "broker",
    ];
    let broker = Node::start(root.path(), &flags);
    assert!(broker.banner().contains("kafka"), "{}", broker.banner());
    assert_eq!(http_status(&broker.http(), "GET", "/subjects").0, 404);
    assert_eq!(http_status(&broker.http(), "GET", "/readyz").0, 200);

    assert_eq!(broker.stop("-TERM").0, Some(0));
    assert_eq!(registry.stop("-TERM").0, Some(0));
}

// Conformance: main-job/1e
#[test]
fn invalid_registry_urls_create_no_data_directory() {
    let root = tempdir().unwrap();
    let cases = [
        (&["registry.example:8081"][..], "expected http://HOST:PORT"),
        (
            &["https://registry.example", "--registry-ca-file", "no.pem"],
            "cannot read CA file no.pem",
        ),
    ];
    for (url, part) in cases {
        let output = avouch(root.path())
            .args(["serve", "--broker-only", "--registry-url"])
            .args(url)
            .output()
            .unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(
            stderr.contains("registry-url") && stderr.contains(part),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
        assert!(fs::read_dir(root.path()).unwrap().next().is_none());
    }
}
