//! The life of a node as clients see it: first steps, a stop, a kill, and what must never change
//! across them. What `serve` refuses is tested in `cli/`.

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
fn the_three_commands_of_the_card_work_as_printed() -> Result<()> {
    let node = Node::start()?;
    let card = node.card()?;
    let (_, commands) = card.split_once("try\n").context("a card with commands")?;
    let mut outputs = Vec::new();
    for command in commands.lines() {
        let output = Command::new("sh").args(["-c", command]).output()?;
        ensure!(output.status.success(), "{command}: {output:?}");
        outputs.push(String::from_utf8(output.stdout)?);
    }
    let [_, read, registered] = outputs.as_slice() else {
        panic!("{card}");
    };
    assert_eq!(read, "hello\n");
    assert!(registered.contains(r#""id":1"#), "{registered}");
    Ok(())
}

// Conformance: main-job/1d
#[test]
fn a_stop_exits_0_and_the_next_start_continues_where_it_was() -> Result<()> {
    let mut node = Node::start_to_be_restarted()?;
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
fn a_node_that_drains_says_so_over_http_until_its_clients_have_their_replies() -> Result<()> {
    const VALUE_BYTES: usize = 900_000;
    const FETCHES: usize = 8;
    let mut node = Node::start()?;
    let mut connection = Connection::open(node.bootstrap())?;
    connection.create_topic("large", 1, &[])?;
    let value = vec![b'x'; VALUE_BYTES];
    for _ in 0..20 {
        let answer = connection.produce_values("large", &[Some(&value)])?;
        assert_eq!(answer.error_code, 0, "{answer:?}");
    }
    drop(connection);
    // Replies far beyond what sockets buffer, and nobody reads them.
    let mut slow = TcpStream::connect(node.bootstrap())?;
    for _ in 0..FETCHES {
        slow.write_all(&fetch_frame("large", 0)?)?;
    }
    slow.read_exact(&mut [0])?;
    assert_eq!(get(&node.url(), "/readyz")?.0, 200);

    node.ask_to_stop()?;
    let body = eventually("a node that says that it drains", || {
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
fn kills_change_no_cluster_id_and_reuse_no_producer_id() -> Result<()> {
    let mut node = Node::start_to_be_restarted()?;
    let cluster = Connection::open(node.bootstrap())?.metadata()?.cluster_id;
    let mut producers = BTreeSet::new();
    for life in 0..4 {
        let mut connection = Connection::open(node.bootstrap())?;
        for _ in 0..3 {
            let answer = connection.init_producer_id()?;
            assert_eq!((answer.error_code, answer.producer_epoch), (0, 0));
            assert!(
                producers.insert(answer.producer_id.0),
                "{answer:?} in life {life}"
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
fn a_second_serve_on_the_same_data_says_so_and_leaves_the_first_alone() -> Result<()> {
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
