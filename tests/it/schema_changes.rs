//! Schema changes and the broker: records with a permanently deleted id are rejected, and records
//! with an id that was imported again are validated against the new schema.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use avouch_tests::deadline::eventually;
use avouch_tests::node::{Node, binary, signal};
use avouch_tests::protocol::Connection;
use avouch_tests::registry::{register, request};
use reqwest::Method;
use serde_json::{Value, json};

const TOPIC: &str = "orders";
const SUBJECT: &str = "orders-value";
const TRY: &str = r#"{"type":"record","name":"Try","fields":[{"name":"a","type":"int"}]}"#;
const ORDER: &str = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"string"}]}"#;
/// Valid under [`TRY`] only.
const TRY_VALUE: &[u8] = &[0, 0, 0, 0, 1, 2];
/// Valid under [`ORDER`] only.
const ORDER_VALUE: &[u8] = &[0, 0, 0, 0, 1, 4, b'h', b'i'];
const INVALID_RECORD: i16 = 87;
const NOT_ENOUGH_REPLICAS: i16 = 19;
const PAYLOAD_VALIDATION: [(&str, &str); 1] = [("avouch.value.validation", "payload")];

/// Produces one value and returns the error code and message.
fn produce(connection: &mut Connection, value: &[u8]) -> Result<(i16, String)> {
    let response = connection.produce_values(TOPIC, &[Some(value)])?;
    let message = response.error_message.map(|message| message.to_string());
    Ok((response.error_code, message.unwrap_or_default()))
}

fn expect_ok(url: &str, method: Method, path: &str, body: Option<&Value>) -> Result<()> {
    let (status, body) = request(url, method, path, body)?;
    ensure!(status == 200, "{path}: {status} {body}");
    Ok(())
}

fn delete_permanently(url: &str) -> Result<()> {
    let subject = format!("/subjects/{SUBJECT}");
    expect_ok(url, Method::DELETE, &subject, None)?;
    let permanently = format!("{subject}?permanent=true&force=true");
    expect_ok(url, Method::DELETE, &permanently, None)
}

fn set_mode(url: &str, mode: &str) -> Result<()> {
    let body = json!({ "mode": mode });
    expect_ok(url, Method::PUT, "/mode?force=true", Some(&body))
}

/// Registers a schema under id 1.
fn import(url: &str, schema: &str) -> Result<()> {
    set_mode(url, "IMPORT")?;
    let body = json!({ "schema": schema, "id": 1, "version": 1 });
    let path = format!("/subjects/{SUBJECT}/versions");
    expect_ok(url, Method::POST, &path, Some(&body))?;
    set_mode(url, "READWRITE")
}

/// Registers a schema under id 1 with `avouch schema import`.
fn import_file(url: &str, directory: &Path, schema: &str) -> Result<()> {
    let record = json!({
        "key": { "keytype": "SCHEMA", "subject": SUBJECT, "version": 1, "magic": 1 },
        "value": {
            "subject": SUBJECT, "version": 1, "id": 1, "schema": schema, "deleted": false,
        },
    });
    let file = directory.join("schemas.jsonl");
    fs::write(&file, format!("{record}\n"))?;
    let imported = std::process::Command::new(binary())
        .args(["schema", "import", "--registry", url])
        .arg(file)
        .output()?;
    ensure!(imported.status.success(), "{imported:?}");
    Ok(())
}

/// Produces a value of each schema and asserts that those of `schema` only are accepted.
fn assert_valid_under(connection: &mut Connection, schema: Option<&str>) -> Result<()> {
    for (value, valid_under) in [(TRY_VALUE, TRY), (ORDER_VALUE, ORDER)] {
        let (code, message) = produce(connection, value)?;
        let expected = match schema {
            Some(schema) if schema == valid_under => 0,
            _ => INVALID_RECORD,
        };
        assert_eq!(code, expected, "{schema:?}: {message}");
        let is_unknown = message.contains("unknown schema id 1");
        assert!(schema.is_some() || is_unknown, "{message}");
    }
    Ok(())
}

/// Waits until a standalone broker validates against `schema`.
fn wait_until_valid_under(connection: &mut Connection, schema: Option<&str>) -> Result<()> {
    let outdated = match schema {
        Some(ORDER) => ORDER_VALUE,
        _ => TRY_VALUE,
    };
    let expected = if schema.is_some() { 0 } else { INVALID_RECORD };
    // The change feed delivers the change later than the registry responds.
    eventually("the change of id 1", || {
        let (code, _) = produce(connection, outdated)?;
        Ok((code == expected).then_some(()))
    })?;
    assert_valid_under(connection, schema)
}

// Conformance: contract/3j
#[test]
fn single_process_validates_against_current_schema() -> Result<()> {
    let node = Node::start()?;
    let url = node.url();
    let directory = tempfile::tempdir()?;
    assert_eq!(register(&url, SUBJECT, TRY)?, 1);
    let mut connection = Connection::open(node.bootstrap())?;
    connection.create_topic(TOPIC, 1, &PAYLOAD_VALIDATION)?;
    for _ in 0..3 {
        assert_valid_under(&mut connection, Some(TRY))?;
        delete_permanently(&url)?;
        assert_valid_under(&mut connection, None)?;
        import(&url, ORDER)?;
        assert_valid_under(&mut connection, Some(ORDER))?;
        delete_permanently(&url)?;
        import_file(&url, directory.path(), TRY)?;
    }
    Ok(())
}

// Conformance: contract/3j
#[test]
fn standalone_broker_follows_schema_changes() -> Result<()> {
    let registry = Node::start_registry()?;
    let url = registry.url();
    assert_eq!(register(&url, SUBJECT, TRY)?, 1);
    let mut broker = Node::start_broker(&url)?;
    let mut connection = Connection::open(broker.bootstrap())?;
    connection.create_topic(TOPIC, 1, &PAYLOAD_VALIDATION)?;
    assert_valid_under(&mut connection, Some(TRY))?;
    delete_permanently(&url)?;
    wait_until_valid_under(&mut connection, None)?;
    import(&url, ORDER)?;
    wait_until_valid_under(&mut connection, Some(ORDER))?;

    // The schema changes while the broker is down, so that its schema file is stale.
    let schema_file = broker.data_dir().join("schemas.json");
    eventually("the schema on disk", || {
        Ok(fs::read_to_string(&schema_file)?
            .contains("Order")
            .then_some(()))
    })?;
    assert!(broker.terminate()?.success());
    delete_permanently(&url)?;
    import(&url, TRY)?;
    broker.restart()?;
    let mut connection = Connection::open(broker.bootstrap())?;
    assert_valid_under(&mut connection, Some(TRY))
}

// Conformance: contract/3n
#[test]
fn deleted_schema_is_removed_from_schema_file() -> Result<()> {
    let mut registry = Node::start_registry()?;
    let url = registry.url();
    assert_eq!(register(&url, SUBJECT, TRY)?, 1);
    let mut broker = Node::start_broker(&url)?;
    let mut connection = Connection::open(broker.bootstrap())?;
    connection.create_topic(TOPIC, 1, &PAYLOAD_VALIDATION)?;
    assert_valid_under(&mut connection, Some(TRY))?;
    let schema_file = broker.data_dir().join("schemas.json");
    let is_stored = || Ok::<_, anyhow::Error>(fs::read_to_string(&schema_file)?.contains("Try"));
    eventually("the schema on disk", || {
        Ok(schema_file.exists().then_some(()))
    })?;
    assert!(is_stored()?);
    // No record has the id in the meantime.
    delete_permanently(&url)?;
    eventually("a file without the schema", || {
        Ok((!is_stored()?).then_some(()))
    })?;
    registry.kill_9()?;
    broker.kill_9()?;
    broker.restart()?;
    let mut connection = Connection::open(broker.bootstrap())?;
    let (code, message) = produce(&mut connection, TRY_VALUE)?;
    // The broker does not know the id, and cannot look it up.
    assert_eq!(code, NOT_ENOUGH_REPLICAS, "{message}");
    Ok(())
}

/// The backup is from another registry, with a higher change sequence than the broker has seen.
// Conformance: contract/3f
#[test]
fn registry_restore_replaces_cached_schemas() -> Result<()> {
    let mut registry = Node::start_registry()?;
    let url = registry.url();
    assert_eq!(register(&url, SUBJECT, TRY)?, 1);
    let mut backup = Node::start_registry()?;
    assert_eq!(register(&backup.url(), SUBJECT, ORDER)?, 1);
    for at in 0..20 {
        register(&backup.url(), &format!("other-{at}"), TRY)?;
    }
    assert!(backup.terminate()?.success());

    let broker = Node::start_broker(&url)?;
    let mut connection = Connection::open(broker.bootstrap())?;
    connection.create_topic(TOPIC, 1, &PAYLOAD_VALIDATION)?;
    assert_valid_under(&mut connection, Some(TRY))?;
    // The broker is stopped so that it does not notice that the registry is down.
    signal("STOP", broker.pid())?;
    assert!(registry.terminate()?.success());
    fs::remove_dir_all(registry.data_dir())?;
    fs::rename(backup.data_dir(), registry.data_dir())?;
    registry.restart()?;
    signal("CONT", broker.pid())?;
    wait_until_valid_under(&mut connection, Some(ORDER))
}
