//! Everything that a hostile client may send to the real binary, one after the other: it stays up,
//! serves others, and its memory stays within bounds throughout. What each input is answered with
//! is shown by the broker's own tests.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use avouch_tests::deadline::PROGRAM_LIMIT;
use avouch_tests::node::Node;
use avouch_tests::peer::memory_bytes;
use avouch_tests::protocol::{
    Connection, batch_of, fetch_frame, produce_batches, record, topic_name,
};
use avouch_tests::rust_client::{config, producer, send};
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    CreateTopicsRequest, FetchRequest, GroupId, JoinGroupRequest, MetadataRequest, ProduceResponse,
};
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::Record;
use rdkafka::producer::Producer as _;

const MIB: u64 = 1 << 20;
/// What the whole suite may take.
const MEMORY_MAX_MIB: u64 = 512;
/// Of the noise; any but 0.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
/// A produce request's header, version 9, correlation id 1, no client id.
const PRODUCE: [u8; 10] = [0, 0, 0, 9, 0, 0, 0, 1, 255, 255];
const GROUP_MAX_SIZE_REACHED: i16 = 81;
const INVALID_RECORD: i16 = 87;
const THROTTLED: i16 = 89;

type Attack = fn(&Node) -> Result<()>;

// Conformance: broker/input-1, broker/deviation-6
#[test]
fn bad_input_of_every_kind_leaves_the_node_up_and_within_512_mib() -> Result<()> {
    let node = Node::start()?;
    let attacks: [(&str, Attack); 15] = [
        ("lengths that lie", lengths_that_lie),
        ("many frames begun", many_frames_begun),
        (
            "half frames that fill the memory",
            half_frames_that_fill_the_memory,
        ),
        ("large frames of nothing", large_frames_of_nothing),
        ("counts that lie", counts_that_lie),
        ("large counts that are true", large_counts_that_are_true),
        ("every key and version", every_key_and_version),
        ("bombs side by side", bombs_side_by_side),
        ("large answers that nobody takes", answers_that_nobody_takes),
        ("noise", noise),
        ("floods of headers", floods_of_headers),
        ("floods of connections", floods_of_connections),
        ("a storm of topics", a_storm_of_topics),
        (
            "producer ids that never come again",
            producer_ids_that_never_come_again,
        ),
        ("a storm of groups", a_storm_of_groups),
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
    let begun: Result<Vec<TcpStream>> = (0..100)
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

/// Of each as much arrives as the broker takes; together that is all that such frames may hold.
fn half_frames_that_fill_the_memory(node: &Node) -> Result<()> {
    const EACH: usize = 24 << 20;
    let claimed = (100_i32 << 20).to_be_bytes();
    let body = vec![0; EACH];
    let mut begun = Vec::new();
    for _ in 0..12 {
        let mut stream = open(node)?;
        stream.write_all(&[&claimed[..], &PRODUCE].concat())?;
        // What is not taken within so long is not taken: there is no memory for it.
        stream.set_write_timeout(Some(Duration::from_millis(200)))?;
        match stream.write_all(&body) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        begun.push(stream);
    }
    serves(node)
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

/// As many topics and partitions as a request may name, on several connections at once: unknown
/// topics, and one partition again and again by consumers that would wait for very long.
fn large_counts_that_are_true(node: &Node) -> Result<()> {
    const COUNT: i32 = 190_000;
    let topic = |at: i32| {
        let name = topic_name(&format!("no{at}"));
        MetadataRequestTopic::default().with_name(Some(name))
    };
    let named = MetadataRequest::default()
        .with_topics(Some((0..COUNT).map(topic).collect()))
        .with_allow_auto_topic_creation(false);
    let partition = |_| FetchPartition::default().with_partition_max_bytes(1);
    let sound = FetchTopic::default()
        .with_topic(topic_name("sound"))
        .with_partitions((0..COUNT).map(partition).collect());
    let fetched = FetchRequest::default()
        .with_max_wait_ms(i32::MAX)
        .with_min_bytes(i32::MAX)
        .with_session_epoch(-1)
        .with_topics(vec![sound]);
    let mut asking = Vec::new();
    for _ in 0..4 {
        let mut connection = Connection::open(node.bootstrap())?;
        connection.send(4, &named)?;
        asking.push(connection);
        let mut connection = Connection::open(node.bootstrap())?;
        connection.send(11, &fetched)?;
        asking.push(connection);
    }
    let answer = Connection::open(node.bootstrap())?.call(4, &named)?;
    ensure!(
        answer.topics.len() == usize::try_from(COUNT)?,
        "an answer to each"
    );
    let one = MetadataRequest::default().with_topics(Some((0..200_001).map(topic).collect()));
    let mut connection = Connection::open(node.bootstrap())?;
    connection.send(4, &one)?;
    ensure!(
        connection.is_closed_by_the_broker()?,
        "one more than there may be"
    );
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

/// Records with as many headers as there may be, and one with one more.
fn floods_of_headers(node: &Node) -> Result<()> {
    let mut connection = Connection::open(node.bootstrap())?;
    let flooded = |offset: i32, headers: usize| {
        let mut record = record(offset, None, Some(b"value"));
        let header = |at: usize| (StrBytes::from_string(format!("h{at}")), None);
        record.headers = (0..headers).map(header).collect();
        record
    };
    let most: Vec<Record> = (0..80).map(|offset| flooded(offset, 1_000)).collect();
    let most = produce_batches("sound", -1, vec![(0, batch_of(&most)?)]);
    let over = produce_batches("sound", -1, vec![(0, batch_of(&[flooded(0, 1_001)])?)]);
    for _ in 0..20 {
        ensure!(
            first_error(&connection.call(9, &most)?) == Some(0),
            "as many as may be"
        );
        let refused = first_error(&connection.call(9, &over)?);
        ensure!(refused == Some(INVALID_RECORD), "{refused:?}");
    }
    Ok(())
}

/// Many that come and go, and many that stay without a request.
fn floods_of_connections(node: &Node) -> Result<()> {
    for _ in 0..1_000 {
        drop(TcpStream::connect(node.bootstrap())?);
    }
    let mut silent = Vec::new();
    for _ in 0..600 {
        let mut stream = open(node)?;
        stream.write_all(&[0])?;
        silent.push(stream);
    }
    serves(node)
}

/// As many partitions as may be made at a time, then topics by the thousand, asked for and named.
fn a_storm_of_topics(node: &Node) -> Result<()> {
    let mut connection = Connection::open(node.bootstrap())?;
    let storm = |at: i32| {
        CreatableTopic::default()
            .with_name(topic_name(&format!("storm{at}")))
            .with_num_partitions(1_000)
            .with_replication_factor(1)
    };
    let request = CreateTopicsRequest::default()
        .with_topics((0..8).map(storm).collect())
        .with_timeout_ms(30_000);
    let answer = connection.call(7, &request)?;
    let mut codes: Vec<i16> = answer.topics.iter().map(|topic| topic.error_code).collect();
    codes.dedup();
    ensure!(codes == [0, THROTTLED], "some, then no more: {codes:?}");
    let named = |at: i32| {
        let name = topic_name(&format!("named{at}"));
        MetadataRequestTopic::default().with_name(Some(name))
    };
    let request = MetadataRequest::default()
        .with_topics(Some((0..9_000).map(named).collect()))
        .with_allow_auto_topic_creation(true);
    let answer = connection.call(9, &request)?;
    let made = answer.topics.iter().filter(|topic| topic.error_code == 0);
    let made = made.count();
    ensure!(made < 4_000, "{made} topics were made");
    Ok(())
}

/// Another producer id for each of many batches, none of which is heard of again.
fn producer_ids_that_never_come_again(node: &Node) -> Result<()> {
    let mut connection = Connection::open(node.bootstrap())?;
    for request in 0..20_i64 {
        let batches: Result<Vec<_>> = (0..1_000)
            .map(|index: i32| {
                let mut record = record(0, None, Some(b"value"));
                record.producer_id = request * 1_000 + i64::from(index);
                (record.producer_epoch, record.sequence) = (0, 0);
                Ok((index, batch_of(&[record])?))
            })
            .collect();
        let answer = connection.call(9, &produce_batches("storm0", -1, batches?))?;
        ensure!(first_error(&answer) == Some(0), "any id is taken");
    }
    Ok(())
}

/// A group after the other whose member says as much about itself as one may.
fn a_storm_of_groups(node: &Node) -> Result<()> {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(StrBytes::from_static_str("range"))
        .with_metadata(vec![0; 60_000].into());
    let join = |at: i32| {
        JoinGroupRequest::default()
            .with_group_id(GroupId(StrBytes::from_string(format!("storm{at}"))))
            .with_session_timeout_ms(1_800_000)
            .with_protocol_type(StrBytes::from_static_str("consumer"))
            .with_protocols(vec![protocol.clone()])
    };
    let mut connection = Connection::open(node.bootstrap())?;
    for at in 0..3_000 {
        match connection.call(0, &join(at))?.error_code {
            0 => {}
            GROUP_MAX_SIZE_REACHED => return Ok(()),
            other => bail!("group {at}: error {other}"),
        }
    }
    bail!("there is no end to groups")
}

/// The error of the first partition of an answer.
fn first_error(answer: &ProduceResponse) -> Option<i16> {
    let topic = answer.responses.first()?;
    Some(topic.partition_responses.first()?.error_code)
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
