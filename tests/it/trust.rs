//! The broker judges by what the registry serves now: a schema that was deleted permanently judges
//! nothing any more, and an id that was imported again is judged by its new schema.

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
const TRIED: &[u8] = &[0, 0, 0, 0, 1, 2];
/// Valid under [`ORDER`] only.
const ORDERED: &[u8] = &[0, 0, 0, 0, 1, 4, b'h', b'i'];
const INVALID_RECORD: i16 = 87;
const OPEN: [(&str, &str); 1] = [("avouch.value.validation", "payload")];

/// Produces one value; returns the error code and message.
fn produce(connection: &mut Connection, value: &[u8]) -> Result<(i16, String)> {
    let answer = connection.produce_values(TOPIC, &[Some(value)])?;
    let message = answer.error_message.map(|message| message.to_string());
    Ok((answer.error_code, message.unwrap_or_default()))
}

fn ok(url: &str, method: Method, path: &str, body: Option<&Value>) -> Result<()> {
    let (status, body) = request(url, method, path, body)?;
    ensure!(status == 200, "{path}: {status} {body}");
    Ok(())
}

fn delete_permanently(url: &str) -> Result<()> {
    let subject = format!("/subjects/{SUBJECT}");
    ok(url, Method::DELETE, &subject, None)?;
    let permanently = format!("{subject}?permanent=true&force=true");
    ok(url, Method::DELETE, &permanently, None)
}

fn set_mode(url: &str, mode: &str) -> Result<()> {
    let body = json!({ "mode": mode });
    ok(url, Method::PUT, "/mode?force=true", Some(&body))
}

/// Registers a schema under id 1.
fn import(url: &str, schema: &str) -> Result<()> {
    set_mode(url, "IMPORT")?;
    let body = json!({ "schema": schema, "id": 1, "version": 1 });
    let path = format!("/subjects/{SUBJECT}/versions");
    ok(url, Method::POST, &path, Some(&body))?;
    set_mode(url, "READWRITE")
}

/// The same by `avouch schema import`.
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

fn assert_judged_by(connection: &mut Connection, schema: Option<&str>) -> Result<()> {
    for (value, valid_under) in [(TRIED, TRY), (ORDERED, ORDER)] {
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

/// Waits until a broker apart has received a change.
fn eventually_judged_by(connection: &mut Connection, schema: Option<&str>) -> Result<()> {
    let outdated = match schema {
        Some(ORDER) => ORDERED,
        _ => TRIED,
    };
    let expected = if schema.is_some() { 0 } else { INVALID_RECORD };
    eventually("the change of id 1", || {
        let (code, _) = produce(connection, outdated)?;
        Ok((code == expected).then_some(()))
    })?;
    assert_judged_by(connection, schema)
}

// Conformance: contract/3j
#[test]
fn one_process_judges_by_the_current_schema() -> Result<()> {
    let node = Node::start()?;
    let url = node.url();
    let directory = tempfile::tempdir()?;
    assert_eq!(register(&url, SUBJECT, TRY)?, 1);
    let mut connection = Connection::open(node.bootstrap())?;
    connection.create_topic(TOPIC, 1, &OPEN)?;
    for _ in 0..3 {
        assert_judged_by(&mut connection, Some(TRY))?;
        delete_permanently(&url)?;
        assert_judged_by(&mut connection, None)?;
        import(&url, ORDER)?;
        assert_judged_by(&mut connection, Some(ORDER))?;
        delete_permanently(&url)?;
        import_file(&url, directory.path(), TRY)?;
    }
    Ok(())
}

// Conformance: contract/3j
#[test]
fn a_broker_apart_judges_by_the_current_schema() -> Result<()> {
    let registry = Node::start_registry()?;
    let url = registry.url();
    assert_eq!(register(&url, SUBJECT, TRY)?, 1);
    let mut broker = Node::start_broker(&url)?;
    let mut connection = Connection::open(broker.bootstrap())?;
    connection.create_topic(TOPIC, 1, &OPEN)?;
    assert_judged_by(&mut connection, Some(TRY))?;
    delete_permanently(&url)?;
    eventually_judged_by(&mut connection, None)?;
    import(&url, ORDER)?;
    eventually_judged_by(&mut connection, Some(ORDER))?;

    // Changed while the broker is down: its file holds the schema as it was.
    let kept = broker.data_dir().join("schemas.json");
    eventually("the schema on disk", || {
        Ok(fs::read_to_string(&kept)?.contains("Order").then_some(()))
    })?;
    assert!(broker.terminate()?.success());
    delete_permanently(&url)?;
    import(&url, TRY)?;
    broker.restart()?;
    let mut connection = Connection::open(broker.bootstrap())?;
    assert_judged_by(&mut connection, Some(TRY))
}

// Conformance: contract/3n
#[test]
fn a_deleted_schema_leaves_the_file_of_a_broker_apart() -> Result<()> {
    let mut registry = Node::start_registry()?;
    let url = registry.url();
    assert_eq!(register(&url, SUBJECT, TRY)?, 1);
    let mut broker = Node::start_broker(&url)?;
    let mut connection = Connection::open(broker.bootstrap())?;
    connection.create_topic(TOPIC, 1, &OPEN)?;
    assert_judged_by(&mut connection, Some(TRY))?;
    let kept = broker.data_dir().join("schemas.json");
    let is_kept = || Ok::<_, anyhow::Error>(fs::read_to_string(&kept)?.contains("Try"));
    eventually("the schema on disk", || Ok(kept.exists().then_some(())))?;
    assert!(is_kept()?);
    // No record names the id meanwhile.
    delete_permanently(&url)?;
    eventually("a file without the schema", || {
        Ok((!is_kept()?).then_some(()))
    })?;
    registry.kill_9()?;
    broker.kill_9()?;
    broker.restart()?;
    let mut connection = Connection::open(broker.bootstrap())?;
    let (code, message) = produce(&mut connection, TRIED)?;
    assert_eq!(code, 19, "not known to be deleted, nor to exist: {message}");
    Ok(())
}

/// The backup is of another history, and at a higher change sequence than the broker has seen.
// Conformance: contract/3f
#[test]
fn a_registry_restored_ahead_of_its_feed_is_read_anew() -> Result<()> {
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
    connection.create_topic(TOPIC, 1, &OPEN)?;
    assert_judged_by(&mut connection, Some(TRY))?;
    // The broker must not see the registry while it is between two states.
    signal("STOP", broker.pid())?;
    assert!(registry.terminate()?.success());
    fs::remove_dir_all(registry.data_dir())?;
    fs::rename(backup.data_dir(), registry.data_dir())?;
    registry.restart()?;
    signal("CONT", broker.pid())?;
    eventually_judged_by(&mut connection, Some(ORDER))
}
