//! Requests of every API in every message layout, mutated: the node stays up, serves other clients
//! and never panics. `AVOUCH_HOSTILE_FRAMES` sets the number of mutations per layout, `AVOUCH_SEED`
//! the seed.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, ensure};
use avouch_avro_testing::Random;
use avouch_tests::checkout;
use avouch_tests::node::Node;
use avouch_tests::peer::memory_bytes;
use avouch_tests::protocol::Connection;

use crate::disk_faults::number;

/// Mutations per layout in a run of `.ci/run`.
const MUTATIONS: u64 = 8;
const MEMORY_MAX_BYTES: u64 = 512 << 20;
/// Lengths and counts at the edges of their types, and of the broker's limits.
const EXTREMES: [i32; 6] = [i32::MIN, -2, -1, i32::MAX, 100 << 20, 1 << 16];

// Conformance: broker/input-13
#[test]
fn mutated_requests_leave_the_node_running() -> Result<()> {
    let mut layouts = fs::read_dir(checkout().join("fuzz/corpus/frames"))?
        .map(|entry| Ok(fs::read(entry?.path())?))
        .collect::<Result<Vec<_>>>()?;
    // The order of a directory differs between machines; a seed must not.
    layouts.sort();
    ensure!(layouts.len() > 100, "{} layouts", layouts.len());
    let seed = number("AVOUCH_SEED", 1)?;
    let mut random = Random::new(seed);
    let mut node = Node::start()?;
    for round in 0..number("AVOUCH_HOSTILE_FRAMES", MUTATIONS)? {
        for layout in &layouts {
            let frame = mutate(layout, &mut random);
            send(&node, &frame)?;
        }
        let context = || format!("seed {seed}, round {round}");
        ensure!(!node.has_exited()?, "{}: the node exited", context());
        serves(&node).with_context(context)?;
    }
    let (_, peak) = memory_bytes(node.pid())?;
    ensure!(peak < MEMORY_MAX_BYTES, "{peak} bytes of memory");
    ensure!(!node.log()?.contains("panicked"), "a panic in the log");
    Ok(())
}

/// Returns a frame with one to four mutations after the API key and version, so that the request
/// still has a handler.
fn mutate(frame: &[u8], random: &mut Random) -> Vec<u8> {
    const HEADER_BYTES: usize = 4;
    let mut frame = frame.to_vec();
    for _ in 0..=random.below(4) {
        let mutable = frame.len().saturating_sub(HEADER_BYTES);
        if mutable == 0 {
            break;
        }
        let at = HEADER_BYTES + random.below(mutable);
        match random.below(5) {
            0 => frame[at] ^= 1 << random.below(8),
            1 => {
                let extreme = EXTREMES[random.below(EXTREMES.len())].to_be_bytes();
                let end = frame.len().min(at + extreme.len());
                frame[at..end].copy_from_slice(&extreme[..end - at]);
            }
            // A varint of the maximum length, or one that never ends.
            2 => {
                let end = frame.len().min(at + 1 + random.below(6));
                frame[at..end].fill(0xff);
            }
            3 => frame.truncate(at),
            _ => {
                let repeated = frame[at..].to_vec();
                frame.extend(repeated);
            }
        }
    }
    frame
}

/// Sends a frame on a connection of its own and closes it. A response is not read: a mutated
/// request may wait for as long as its timeout.
fn send(node: &Node, frame: &[u8]) -> Result<()> {
    let mut stream = TcpStream::connect(node.bootstrap())?;
    let length = i32::try_from(frame.len())?.to_be_bytes();
    match stream.write_all(&[&length, frame].concat()) {
        // The broker may have closed it already.
        Err(error) if is_closed(error.kind()) => Ok(()),
        result => Ok(result?),
    }
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

/// Checks that another client is served normally.
fn serves(node: &Node) -> Result<()> {
    let mut connection = Connection::open(node.bootstrap())?;
    // A mutated request may have created or deleted any topic.
    connection.create_topic("valid", 1, &[])?;
    let response = connection.produce_values("valid", &[Some(b"value")])?;
    ensure!(response.error_code == 0, "error {}", response.error_code);
    Ok(())
}
