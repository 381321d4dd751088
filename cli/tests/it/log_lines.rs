//! Log lines as a log collector receives them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;
use tempfile::tempdir;

use crate::node::{Node, avouch};

/// A Produce request of version 3 with correlation id 7 and client id `bad`, without a body.
const TORN_PRODUCE: [u8; 17] = [0, 0, 0, 13, 0, 0, 0, 3, 0, 0, 0, 7, 0, 3, b'b', b'a', b'd'];

// Conformance: operation/3
#[test]
fn json_log_lines_name_the_request() {
    let root = tempdir().unwrap();
    let mut command = avouch(root.path());
    command.env("AVOUCH_LOG_FORMAT", "json");
    let node = Node::start_with(command, root.path(), &["--data-dir", "data"]);

    let mut client = TcpStream::connect(node.kafka()).unwrap();
    client.write_all(&TORN_PRODUCE).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "the broker closes");
    let (_, stderr) = node.stop("-TERM");

    let lines: Vec<Value> = stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let closed = lines
        .iter()
        .find(|line| line["message"] == "connection closed")
        .unwrap_or_else(|| panic!("{stderr}"));
    assert_eq!(closed["level"], "WARN");
    let error = closed["error"].as_str().unwrap();
    assert!(error.contains("Produce request of version 3"), "{error}");
    let spans = closed["spans"].as_array().unwrap();
    assert_eq!(spans[0]["conn"], 1, "{closed}");
    let peer = spans[0]["peer"].as_str().unwrap();
    assert!(peer.starts_with("127.0.0.1:"), "{closed}");
    assert_eq!(spans[1]["api"], "Produce", "{closed}");
    assert_eq!(spans[1]["corr"], 7, "{closed}");
    assert_eq!(spans[1]["client_id"], "bad", "{closed}");
}
