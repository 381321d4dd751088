//! Lifecycle of a node from a client's point of view: first use, graceful stop, kill, and the state
//! that must survive them. Startup errors are tested in `cli/`.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use avouch_tests::deadline::eventually;
use avouch_tests::family::{Family, Produce};
use avouch_tests::node::{Node, serve};
use avouch_tests::program::{acked, records};
use avouch_tests::protocol::{Connection, fetch_frame};
use avouch_tests::registry::{get, register};

// Conformance: main-job/1a
#[test]
fn banner_commands_work() -> Result<()> {
    let node = Node::start()?;
    let banner = node.banner()?;
    let (_, commands) = banner.split_once("try\n").context("no commands")?;
    let mut outputs = Vec::new();
    for command in commands.lines() {
        // The banner is copied to a shell by users.
        let output = Command::new("sh").args(["-c", command]).output()?;
        ensure!(output.status.success(), "{command}: {output:?}");
        outputs.push(String::from_utf8(output.stdout)?);
    }
    let [_, read, registered] = outputs.as_slice() else {
        panic!("{banner}");
    };
    assert_eq!(read, "hello\n");
    assert!(registered.contains(r#""id":1"#), "{registered}");
    Ok(())
}

// Conformance: main-job/1d
#[test]
fn graceful_restart_preserves_state() -> Result<()> {
    let mut node = Node::start_restartable()?;
    let (broker, topic) = (node.bootstrap().to_owned(), "continued");
    let id = register(&node.url(), "other-value", r#""string""#)?;
    let cluster = Connection::open(&broker)?.metadata()?.cluster_id;
    assert!(cluster.is_some());
    let what = |prefix| Produce {
        topic,
        partition: Some(0),
        codecs: &["lz4"],
        idempotent: true,
        count: 6,
        prefix,
    };
    Family::Python.produce(&broker, &what("before"))?;
    Family::Python.group(&broker, topic, "readers", 4)?;
    let topic_ids = topic_ids(&broker)?;

    assert!(node.terminate()?.success());
    node.restart()?;

    let places: Vec<_> = acked(&Family::Python.produce(&broker, &what("after"))?)
        .iter()
        .map(|record| record.offset)
        .collect();
    assert_eq!(places, [6, 7, 8, 9, 10, 11]);
    let read = records(&Family::Python.group(&broker, topic, "readers", 8)?);
    let offsets: Vec<_> = read.iter().map(|record| record.offset).collect();
    // The group committed offset 4 before the restart.
    assert_eq!(offsets, [4, 5, 6, 7, 8, 9, 10, 11]);
    assert_eq!(self::topic_ids(&broker)?, topic_ids);
    assert_eq!(Connection::open(&broker)?.metadata()?.cluster_id, cluster);
    let (_, registry) = get(&node.url(), "/v1/metadata/id")?;
    let named = registry["scope"]["clusters"]["kafka-cluster"].as_str();
    assert_eq!(named, cluster.as_deref(), "{registry}");
    let (status, body) = get(&node.url(), &format!("/schemas/ids/{id}"))?;
    assert_eq!(status, 200, "{body}");
    Ok(())
}

// Conformance: operation/2
#[test]
fn draining_node_reports_503_until_responses_sent() -> Result<()> {
    const VALUE_BYTES: usize = 900_000;
    const FETCHES: usize = 8;
    let mut node = Node::start()?;
    let mut connection = Connection::open(node.bootstrap())?;
    connection.create_topic("large", 1, &[])?;
    let value = vec![b'x'; VALUE_BYTES];
    for _ in 0..20 {
        let response = connection.produce_values("large", &[Some(&value)])?;
        assert_eq!(response.error_code, 0, "{response:?}");
    }
    drop(connection);
    // The responses exceed the socket buffers and are not read, so the drain must wait for them.
    let mut slow = TcpStream::connect(node.bootstrap())?;
    for _ in 0..FETCHES {
        slow.write_all(&fetch_frame("large", 0)?)?;
    }
    // The first byte shows that the broker has started to respond.
    slow.read_exact(&mut [0])?;
    assert_eq!(get(&node.url(), "/readyz")?.0, 200);

    node.send_sigterm()?;
    let body = eventually("the status of a draining node", || {
        let (status, body) = get(&node.url(), "/readyz")?;
        Ok((status == 503).then_some(body))
    })?;
    assert_eq!(body["status"], "draining");
    drop(slow);
    assert!(node.wait()?.success());
    assert!(get(&node.url(), "/readyz").is_err());
    Ok(())
}

// Conformance: main-job/1g
#[test]
fn kills_preserve_cluster_and_producer_ids() -> Result<()> {
    let mut node = Node::start_restartable()?;
    let cluster = Connection::open(node.bootstrap())?.metadata()?.cluster_id;
    let mut producers = BTreeSet::new();
    for run in 0..4 {
        let mut connection = Connection::open(node.bootstrap())?;
        for _ in 0..3 {
            let response = connection.init_producer_id()?;
            assert_eq!((response.error_code, response.producer_epoch), (0, 0));
            assert!(
                producers.insert(response.producer_id.0),
                "{response:?} in run {run}"
            );
        }
        node.kill_9()?;
        node.restart()?;
        assert_eq!(
            Connection::open(node.bootstrap())?.metadata()?.cluster_id,
            cluster
        );
    }
    assert_eq!(producers.len(), 12);
    Ok(())
}

// Conformance: main-job/1c
#[test]
fn second_process_on_data_dir_fails() -> Result<()> {
    let node = Node::start()?;
    let flags = [
        "--kafka-listen",
        "127.0.0.1:0",
        "--http-listen",
        "127.0.0.1:0",
    ];
    let second = serve(&node.data_dir(), &flags).output()?;
    assert_eq!(second.status.code(), Some(1));
    let line = String::from_utf8(second.stderr)?;
    let holder = format!("is in use by another avouch (pid {})", node.pid());
    assert!(
        line.contains(&holder) && line.lines().count() == 1,
        "{line}"
    );
    let mut connection = Connection::open(node.bootstrap())?;
    assert_eq!(
        connection
            .produce_values("alive", &[Some(b"yes")])?
            .error_code,
        3
    );
    connection.create_topic("alive", 1, &[])?;
    assert_eq!(
        connection
            .produce_values("alive", &[Some(b"yes")])?
            .error_code,
        0
    );
    Ok(())
}

fn topic_ids(broker: &str) -> Result<Vec<String>> {
    let metadata = Connection::open(broker)?.metadata()?;
    let mut ids: Vec<_> = metadata
        .topics
        .iter()
        .map(|topic| format!("{:?} {}", topic.name, topic.topic_id))
        .collect();
    ids.sort();
    Ok(ids)
}
