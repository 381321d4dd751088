//! A process with few file handles: connections never take those of the log and the databases.

use std::io::{ErrorKind, Read as _};
use std::net::TcpStream;

use anyhow::{Result, ensure};
use avouch_tests::deadline::{PROGRAM_LIMIT, eventually};
use avouch_tests::node::Node;
use avouch_tests::protocol::Connection;
use avouch_tests::registry::get;

/// Few more than a node needs to start.
const LIMITS: &str = "ulimit -n 420;";
/// Idle connections to each listener: together as many as the process has file handles.
const IDLE: usize = 210;
/// Each has a segment file of its own.
const PARTITIONS: i32 = 150;
/// All partitions together exceed the data that the log keeps in memory only.
const VALUE_BYTES: usize = 128 << 10;

// Conformance: operation/11
#[test]
fn idle_connections_leave_handles_to_the_log() -> Result<()> {
    let mut node = Node::start_under(LIMITS)?;
    let mut producer = Connection::open(node.bootstrap())?;
    ensure!(producer.create_topic("t", PARTITIONS, &[])?.error_code == 0);
    let http = node.url();
    let http = http.trim_start_matches("http://");
    let idle: Vec<TcpStream> = [node.bootstrap(), http]
        .iter()
        .flat_map(|address| (0..IDLE).map(move |_| TcpStream::connect(*address)))
        .collect::<Result<_, _>>()?;
    for listener in idle.chunks(IDLE) {
        let last = listener.last().map(is_closed);
        ensure!(
            last.is_some_and(|closed| closed),
            "a connection above the limit is open"
        );
    }

    let value = vec![b'v'; VALUE_BYTES];
    for first in (0..PARTITIONS).step_by(10) {
        let batch = |partition| (partition, vec![(None, Some(&value[..]))]);
        let batches: Vec<_> = (first..first + 10).map(batch).collect();
        for response in producer.produce("t", &batches)? {
            ensure!(response.error_code == 0, "{response:?}");
        }
    }
    ensure!(producer.create_topic("u", 1, &[])?.error_code == 0);
    ensure!(!node.has_exited()?);
    drop(idle);
    eventually("new connections", || {
        let kafka = Connection::open(node.bootstrap()).and_then(|mut open| open.metadata());
        let http = get(&node.url(), "/livez");
        Ok((kafka.is_ok() && http.is_ok_and(|(status, _)| status == 200)).then_some(()))
    })?;
    ensure!(node.terminate()?.success());

    node.restart()?;
    let mut consumer = Connection::open(node.bootstrap())?;
    for partition in [0, 1, PARTITIONS / 2, PARTITIONS - 1] {
        ensure!(
            consumer.values("t", partition)? == [(0, value.clone())],
            "{partition}"
        );
    }
    Ok(())
}

/// Waits until the node closes the connection; false if it does not.
fn is_closed(mut connection: &TcpStream) -> bool {
    let waits = connection.set_read_timeout(Some(PROGRAM_LIMIT)).is_ok();
    let read = connection.read(&mut [0]);
    let reset = |error: &std::io::Error| error.kind() == ErrorKind::ConnectionReset;
    waits && (matches!(read, Ok(0)) || read.as_ref().is_err_and(reset))
}
