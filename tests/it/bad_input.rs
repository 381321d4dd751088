//! Everything that a hostile client may send to the real binary, one after the other: it stays up,
//! serves others, and its memory stays within bounds throughout. What each input is answered with
//! is shown by the broker's own tests.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use avouch_tests::deadline::PROGRAM_LIMIT;
use avouch_tests::node::Node;
use avouch_tests::peer::memory_bytes;
use avouch_tests::protocol::{Connection, fetch_frame};
use avouch_tests::rust_client::{config, producer, send};
use rdkafka::producer::Producer as _;

const MIB: u64 = 1 << 20;
/// What the whole suite may take.
const MEMORY_MAX_MIB: u64 = 512;
/// Of the noise; any but 0.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
/// A produce request's header, version 9, correlation id 1, no client id.
const PRODUCE: [u8; 10] = [0, 0, 0, 9, 0, 0, 0, 1, 255, 255];

type Attack = fn(&Node) -> Result<()>;

#[test]
fn bad_input_of_every_kind_leaves_the_node_up_and_within_512_mib() -> Result<()> {
    let node = Node::start()?;
    let attacks: [(&str, Attack); 8] = [
        ("lengths that lie", lengths_that_lie),
        ("many frames begun", many_frames_begun),
        ("large frames of nothing", large_frames_of_nothing),
        ("counts that lie", counts_that_lie),
        ("every key and version", every_key_and_version),
        ("bombs side by side", bombs_side_by_side),
        ("large answers that nobody takes", answers_that_nobody_takes),
        ("noise", noise),
    ];
    let mut highest_mib = Vec::new();
    for (name, attack) in attacks {
        attack(&node)?;
        serves(&node)?;
        let (_, highest) = memory_bytes(node.pid())?;
        highest_mib.push((name, highest / MIB));
    }
    let last = highest_mib.last().context("there were attacks")?.1;
    ensure!(last < MEMORY_MAX_MIB, "MiB after each: {highest_mib:?}");
    ensure!(!node.log()?.contains("panicked"), "something panicked");
    Ok(())
}

/// Somebody else is served as if nothing were.
fn serves(node: &Node) -> Result<()> {
    let mut connection = Connection::open(node.bootstrap())?;
    connection.create_topic("sound", 1, &[])?;
    let answer = connection.produce_values("sound", &[Some(b"value")])?;
    ensure!(answer.error_code == 0, "error {}", answer.error_code);
    Ok(())
}

fn lengths_that_lie(node: &Node) -> Result<()> {
    for length in [-1, i32::MIN, i32::MAX, 0x1603_0100, (100 << 20) + 1] {
        let mut stream = open(node)?;
        stream.write_all(&length.to_be_bytes())?;
        ensure!(is_closed(&mut stream)?, "length {length}");
    }
    Ok(())
}

/// Each claims the most there may be and sends little of it.
fn many_frames_begun(node: &Node) -> Result<()> {
    let claimed = (100_i32 << 20).to_be_bytes();
    let begun: Result<Vec<TcpStream>> = (0..2)
        .map(|_| {
            let mut stream = open(node)?;
            stream.write_all(&[&claimed[..], &PRODUCE, &[0; 60_000]].concat())?;
            Ok(stream)
        })
        .collect();
    serves(node)?;
    drop(begun?);
    Ok(())
}

/// As much as may be in flight arrives in full, and none of it is a request.
fn large_frames_of_nothing(node: &Node) -> Result<()> {
    const BYTES: i32 = 60 << 20;
    let body = vec![0xff; usize::try_from(BYTES)? - PRODUCE.len()];
    let mut streams = Vec::new();
    for _ in 0..4 {
        let mut stream = open(node)?;
        stream.write_all(&[&BYTES.to_be_bytes()[..], &PRODUCE].concat())?;
        stream.write_all(&body)?;
        streams.push(stream);
    }
    for stream in &mut streams {
        ensure!(is_closed(stream)?, "nothing is no request");
    }
    Ok(())
}

/// Metadata for 2^31-1 topics, OffsetFetch for as many groups, a string of 32 KiB that is not
/// there, a varint without an end.
fn counts_that_lie(node: &Node) -> Result<()> {
    let bodies: [&[u8]; 4] = [
        &[0, 3, 0, 1, 0, 0, 0, 1, 255, 255, 127, 255, 255, 255],
        &[0, 9, 0, 8, 0, 0, 0, 1, 255, 255, 0, 255, 255, 255, 255, 15],
        &[0, 3, 0, 1, 0, 0, 0, 1, 127, 255, 0],
        &[
            0, 3, 0, 12, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255,
        ],
    ];
    for body in bodies {
        let mut stream = open(node)?;
        stream.write_all(&framed(body)?)?;
        ensure!(is_closed(&mut stream)?, "{body:?}");
    }
    Ok(())
}

/// Headers of every key and version, known or not, over nothing.
fn every_key_and_version(node: &Node) -> Result<()> {
    for key in 0..100_u8 {
        for version in 0..20_u8 {
            let mut stream = open(node)?;
            let header = [0, key, 0, version, 0, 0, 0, 1, 255, 255, 0];
            stream.write_all(&framed(&header)?)?;
            stream.shutdown(std::net::Shutdown::Write)?;
            drain(&mut stream)?;
        }
    }
    Ok(())
}

/// Sound batches that are small on the wire and inflate to just what one batch may.
fn bombs_side_by_side(node: &Node) -> Result<()> {
    let mut connection = Connection::open(node.bootstrap())?;
    connection.create_topic("bombs", 1, &[])?;
    let mut value = vec![0; 30 << 20];
    noise_into(&mut { SEED }, &mut value[..200_000]);
    let mut bombers = Vec::new();
    for _ in 0..6 {
        let (bomber, deliveries) = producer(
            config(node.bootstrap())
                .set("compression.type", "zstd")
                .set("message.max.bytes", "40000000"),
        )?;
        send(&bomber, ("bombs", Some(0)), "bomb", &value)?;
        bombers.push((bomber, deliveries));
    }
    for (bomber, deliveries) in bombers {
        bomber.flush(PROGRAM_LIMIT)?;
        ensure!(deliveries.events().len() == 1, "an answer to each");
    }
    Ok(())
}

/// Fetches of all there is, by consumers that never read.
fn answers_that_nobody_takes(node: &Node) -> Result<()> {
    let mut connection = Connection::open(node.bootstrap())?;
    connection.create_topic("large", 1, &[])?;
    let mut value = vec![0; 1_000_000];
    let mut state = SEED;
    for _ in 0..48 {
        noise_into(&mut state, &mut value);
        connection.produce_values("large", &[Some(&value)])?;
    }
    let fetch = fetch_frame("large", 0)?;
    let mut deaf = Vec::new();
    for _ in 0..32 {
        let mut stream = open(node)?;
        for _ in 0..16 {
            stream.write_all(&fetch)?;
        }
        deaf.push(stream);
    }
    // Their answers are under way when the first byte of each is there.
    for stream in &deaf {
        stream.peek(&mut [0])?;
    }
    Ok(())
}

fn noise(node: &Node) -> Result<()> {
    let mut bytes = vec![0; 4_096];
    let mut state = SEED;
    for length in 1..400_usize {
        noise_into(&mut state, &mut bytes);
        let mut stream = open(node)?;
        // With a length that is true, or as it comes.
        let sent = match length % 2 {
            0 => framed(&bytes[..length])?,
            _ => bytes[..length].to_vec(),
        };
        stream.write_all(&sent)?;
        stream.shutdown(std::net::Shutdown::Write)?;
        drain(&mut stream)?;
    }
    Ok(())
}

fn open(node: &Node) -> Result<TcpStream> {
    let stream = TcpStream::connect(node.bootstrap())?;
    stream.set_read_timeout(Some(PROGRAM_LIMIT))?;
    stream.set_write_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

fn framed(body: &[u8]) -> Result<Vec<u8>> {
    let length = i32::try_from(body.len())?;
    Ok([&length.to_be_bytes(), body].concat())
}

/// Whether the broker closes without a further byte.
fn is_closed(stream: &mut TcpStream) -> Result<bool> {
    match stream.read(&mut [0]) {
        Ok(count) => Ok(count == 0),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Reads whatever comes until the broker closes.
fn drain(stream: &mut TcpStream) -> Result<()> {
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Another noise each time, the same in every run.
fn noise_into(state: &mut u64, bytes: &mut [u8]) {
    for byte in bytes {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *byte = state.to_be_bytes()[0];
    }
}
