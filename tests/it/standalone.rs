//! Standalone broker and registry in two processes: validation while the registry is available,
//! while it is unavailable, and across restarts. Also a registry without a change feed.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread;

use anyhow::Result;
use avouch_tests::deadline::eventually;
use avouch_tests::node::Node;
use avouch_tests::protocol::Connection;
use avouch_tests::registry::{get, register, request};
use reqwest::Method;

const TOPIC: &str = "payments";
const SUBJECT: &str = "payments-value";
const STRING: &str = r#""string""#;
const LONG: &str = r#""long""#;
const VALIDATED: [(&str, &str); 1] = [("avouch.value.validation", "payload")];
const NOT_VISIBLE_YET: i16 = 19;
const INVALID_RECORD: i16 = 87;

/// Produces one value and returns the error code.
fn produce(connection: &mut Connection, id: u32, datum: &[u8]) -> Result<i16> {
    let value = [&[0], &id.to_be_bytes()[..], datum].concat();
    let response = connection.produce_values(TOPIC, &[Some(&value)])?;
    Ok(response.error_code)
}

/// Sets the compatibility level NONE, so that the registry accepts incompatible versions.
fn allow_any_version(registry: &Node) -> Result<()> {
    let body = serde_json::json!({ "compatibility": "NONE" });
    let (status, body) = request(&registry.url(), Method::PUT, "/config", Some(&body))?;
    assert_eq!(status, 200, "{body}");
    Ok(())
}

// Conformance: contract/3d, main-job/1f
#[test]
fn standalone_broker_validates_with_remote_registry() -> Result<()> {
    let mut registry = Node::start_registry()?;
    allow_any_version(&registry)?;
    let first = register(&registry.url(), SUBJECT, STRING)?;
    let mut broker = Node::start_broker(&registry.url())?;
    let mut connection = Connection::open(broker.bootstrap())?;
    connection.create_topic(TOPIC, 1, &[])?;
    assert_eq!(produce(&mut connection, first, b"\x02x")?, 0);
    assert_eq!(produce(&mut connection, first, b"\x04x")?, INVALID_RECORD);

    // An id that is used before its registration is rejected until it is registered.
    let next = first + 1;
    assert_eq!(produce(&mut connection, next, b"\x02")?, INVALID_RECORD);
    assert_eq!(register(&registry.url(), SUBJECT, LONG)?, next);
    assert_eq!(produce(&mut connection, next, b"\x02")?, 0);
    // An id is accepted immediately after its registration.
    let newest = register(&registry.url(), SUBJECT, r#""boolean""#)?;
    assert_eq!(produce(&mut connection, newest, b"\x01")?, 0);

    // Without the registry, also after a restart of the broker, known schemas stay in effect.
    for restarted in [false, true] {
        if restarted {
            assert!(broker.terminate()?.success());
            broker.restart()?;
            connection = Connection::open(broker.bootstrap())?;
        } else {
            registry.kill_9()?;
        }
        assert_eq!(produce(&mut connection, first, b"\x02y")?, 0);
        assert_eq!(produce(&mut connection, newest, b"\x00")?, 0);
        assert_eq!(produce(&mut connection, first, b"\x04y")?, INVALID_RECORD);
        assert_eq!(produce(&mut connection, 99, b"\x02")?, NOT_VISIBLE_YET);
    }
    registry.restart()?;
    eventually("the reconnection to the registry", || {
        Ok((produce(&mut connection, 99, b"\x02")? == INVALID_RECORD).then_some(()))
    })
}

// Conformance: contract/3e
#[test]
fn killed_broker_validates_without_registry() -> Result<()> {
    let mut registry = Node::start_registry()?;
    let id = register(&registry.url(), SUBJECT, STRING)?;
    let mut broker = Node::start_broker(&registry.url())?;
    let mut connection = Connection::open(broker.bootstrap())?;
    connection.create_topic(TOPIC, 1, &[])?;
    assert_eq!(produce(&mut connection, id, b"\x02x")?, 0);
    let snapshot = broker.data_dir().join("schemas.json");
    eventually("the schemas on disk", || {
        Ok(snapshot.exists().then_some(()))
    })?;
    registry.kill_9()?;
    broker.kill_9()?;
    broker.restart()?;
    let mut connection = Connection::open(broker.bootstrap())?;
    assert_eq!(produce(&mut connection, id, b"\x02y")?, 0);
    assert_eq!(produce(&mut connection, id, b"\x04y")?, INVALID_RECORD);
    Ok(())
}

// Conformance: contract/3f
#[test]
fn registry_reset_replaces_cached_schemas() -> Result<()> {
    let mut registry = Node::start_registry()?;
    let id = register(&registry.url(), SUBJECT, STRING)?;
    register(&registry.url(), "other", STRING)?;
    let broker = Node::start_broker(&registry.url())?;
    let mut connection = Connection::open(broker.bootstrap())?;
    connection.create_topic(TOPIC, 1, &VALIDATED)?;
    assert_eq!(produce(&mut connection, id, b"\x02x")?, 0);

    registry.kill_9()?;
    std::fs::remove_dir_all(registry.data_dir())?;
    registry.restart()?;
    assert_eq!(register(&registry.url(), SUBJECT, LONG)?, id);
    eventually("another schema under the same id", || {
        Ok((produce(&mut connection, id, b"\x02")? == 0).then_some(()))
    })?;
    assert_eq!(produce(&mut connection, id, b"\x02x")?, INVALID_RECORD);
    Ok(())
}

// Conformance: contract/3f
#[test]
fn registry_without_change_feed_is_polled() -> Result<()> {
    let registry = Node::start_registry()?;
    allow_any_version(&registry)?;
    let without_feed = without_feed(registry.url())?;
    let broker = Node::start_broker(&without_feed)?;
    let mut connection = Connection::open(broker.bootstrap())?;
    connection.create_topic(TOPIC, 1, &VALIDATED)?;
    assert_eq!(produce(&mut connection, 1, b"\x02x")?, INVALID_RECORD);
    let id = register(&registry.url(), SUBJECT, STRING)?;
    assert_eq!((id, produce(&mut connection, id, b"\x02x")?), (1, 0));

    // `auto` is decided although there is no change notification.
    connection.create_topic("orders", 1, &[])?;
    let value = [Some(&b"anything"[..])];
    register(&registry.url(), "orders-value", STRING)?;
    let response = connection.produce_values("orders", &value)?;
    assert_eq!(response.error_code, INVALID_RECORD, "{response:?}");
    Ok(())
}

/// Starts a proxy of the registry at `url` that has no change feed, and returns its URL. The proxy
/// runs until the test process exits.
fn without_feed(url: String) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let own = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let url = url.clone();
            // A client that disconnects during a response is not an error.
            thread::spawn(move || drop(respond(&stream, &url)));
        }
    });
    Ok(own)
}

/// Responds to one request and closes the connection.
fn respond(mut stream: &TcpStream, url: &str) -> Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = first.split(' ').nth(1).unwrap_or("/");
    let (status, body) = if path.starts_with("/v1/") {
        let body = serde_json::json!({ "error_code": 404, "message": "HTTP 404 Not Found" });
        (404, body)
    } else {
        get(url, path)?
    };
    let body = body.to_string();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n{body}"
    )?;
    Ok(())
}
