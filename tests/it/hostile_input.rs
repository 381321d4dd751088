//! Hostile input to the release binary, one kind after the other: it stays up, serves other
//! clients, and its memory stays within its limit. The broker's own tests verify the response to
//! each input.

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
/// Peak memory allowed for the whole suite.
const MEMORY_MAX_MIB: u64 = 512;
/// Seed of the random bytes; not 0.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
/// Header of a Produce request, version 9, correlation id 1, no client id.
const PRODUCE: [u8; 10] = [0, 0, 0, 9, 0, 0, 0, 1, 255, 255];
const GROUP_MAX_SIZE_REACHED: i16 = 81;
const INVALID_RECORD: i16 = 87;
const THROTTLED: i16 = 89;

type Attack = fn(&Node) -> Result<()>;

// Conformance: broker/input-1, broker/deviation-6
#[test]
fn hostile_input_stays_within_512_mib() -> Result<()> {
    let node = Node::start()?;
    let attacks: [(&str, Attack); 15] = [
        ("invalid frame lengths", invalid_frame_lengths),
        ("many incomplete frames", many_incomplete_frames),
        (
            "incomplete frames that fill the memory",
            incomplete_frames_fill_memory,
        ),
        ("large invalid frames", large_invalid_frames),
        ("counts above the frame size", excessive_counts),
        ("large valid counts", large_valid_counts),
        ("all API keys and versions", all_keys_and_versions),
        ("concurrent decompression bombs", decompression_bombs),
        ("responses that are not read", unread_responses),
        ("random bytes", random_bytes),
        ("many record headers", many_record_headers),
        ("many connections", many_connections),
        ("many topics", many_topics),
        ("many producer ids", many_producer_ids),
        ("many groups", many_groups),
    ];
    let mut peak_mib = Vec::new();
    for (name, attack) in attacks {
        attack(&node)?;
        serves(&node)?;
        let (_, peak) = memory_bytes(node.pid())?;
        peak_mib.push((name, peak / MIB));
    }
    // The peak never decreases, so the last value is that of the whole run.
    let last = peak_mib.last().context("no attacks")?.1;
    ensure!(last < MEMORY_MAX_MIB, "MiB after each: {peak_mib:?}");
    ensure!(!node.log()?.contains("panicked"), "a panic in the log");
    Ok(())
}

/// Checks that another client is served normally.
fn serves(node: &Node) -> Result<()> {
    let mut connection = Connection::open(node.bootstrap())?;
    connection.create_topic("valid", 1, &[])?;
    let response = connection.produce_values("valid", &[Some(b"value")])?;
    ensure!(response.error_code == 0, "error {}", response.error_code);
    Ok(())
}

fn invalid_frame_lengths(node: &Node) -> Result<()> {
    // 0x16030100 is the start of a TLS handshake. The last length exceeds the limit by one byte.
    for length in [-1, i32::MIN, i32::MAX, 0x1603_0100, (100 << 20) + 1] {
        let mut stream = open(node)?;
        stream.write_all(&length.to_be_bytes())?;
        ensure!(is_closed(&mut stream)?, "length {length}");
    }
    Ok(())
}

/// Sends frames of the maximum length of which only the start arrives.
fn many_incomplete_frames(node: &Node) -> Result<()> {
    let claimed = (100_i32 << 20).to_be_bytes();
    let streams: Result<Vec<TcpStream>> = (0..100)
        .map(|_| {
            let mut stream = open(node)?;
            stream.write_all(&[&claimed[..], &PRODUCE, &[0; 60_000]].concat())?;
            Ok(stream)
        })
        .collect();
    serves(node)?;
    drop(streams?);
    Ok(())
}

/// Sends as much of each frame as the broker reads; together they use all memory available to
/// incomplete frames.
fn incomplete_frames_fill_memory(node: &Node) -> Result<()> {
    const EACH: usize = 24 << 20;
    let claimed = (100_i32 << 20).to_be_bytes();
    let body = vec![0; EACH];
    let mut streams = Vec::new();
    for _ in 0..12 {
        let mut stream = open(node)?;
        stream.write_all(&[&claimed[..], &PRODUCE].concat())?;
        // A write that times out means that the broker has no memory left for this frame.
        stream.set_write_timeout(Some(Duration::from_millis(200)))?;
        match stream.write_all(&body) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error.into()),
        }
        streams.push(stream);
    }
    serves(node)
}

/// Sends complete frames that use all memory for requests in flight, and that are not requests.
fn large_invalid_frames(node: &Node) -> Result<()> {
    const BYTES: i32 = 60 << 20;
    let body = vec![0xff; usize::try_from(BYTES)? - PRODUCE.len()];
    let mut streams = Vec::new();
    // Four frames of 60 MiB approach the limit of 256 MiB for requests in flight.
    for _ in 0..4 {
        let mut stream = open(node)?;
        stream.write_all(&[&BYTES.to_be_bytes()[..], &PRODUCE].concat())?;
        stream.write_all(&body)?;
        streams.push(stream);
    }
    for stream in &mut streams {
        ensure!(is_closed(stream)?, "an invalid request was accepted");
    }
    Ok(())
}

/// Sends Metadata for 2^31-1 topics, OffsetFetch for as many groups, a string of 32 KiB that is
/// missing, and an unterminated varint.
fn excessive_counts(node: &Node) -> Result<()> {
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

/// Sends requests with the maximum number of array elements on several connections: unknown topics,
/// and fetches that repeat one partition and would wait for a very long time.
fn large_valid_counts(node: &Node) -> Result<()> {
    const COUNT: i32 = 190_000;
    let topic = |at: i32| {
        let name = topic_name(&format!("no{at}"));
        MetadataRequestTopic::default().with_name(Some(name))
    };
    let named = MetadataRequest::default()
        .with_topics(Some((0..COUNT).map(topic).collect()))
        .with_allow_auto_topic_creation(false);
    let partition = |_| FetchPartition::default().with_partition_max_bytes(1);
    let valid = FetchTopic::default()
        .with_topic(topic_name("valid"))
        .with_partitions((0..COUNT).map(partition).collect());
    let fetched = FetchRequest::default()
        .with_max_wait_ms(i32::MAX)
        .with_min_bytes(i32::MAX)
        .with_session_epoch(-1)
        .with_topics(vec![valid]);
    let mut fetching = Vec::new();
    for _ in 0..4 {
        let mut connection = Connection::open(node.bootstrap())?;
        connection.send(4, &named)?;
        fetching.push(connection);
        let mut connection = Connection::open(node.bootstrap())?;
        connection.send(11, &fetched)?;
        fetching.push(connection);
    }
    let response = Connection::open(node.bootstrap())?.call(4, &named)?;
    ensure!(
        response.topics.len() == usize::try_from(COUNT)?,
        "{} topics in the response",
        response.topics.len()
    );
    let one = MetadataRequest::default().with_topics(Some((0..200_001).map(topic).collect()));
    let mut connection = Connection::open(node.bootstrap())?;
    connection.send(4, &one)?;
    ensure!(
        connection.is_closed_by_broker()?,
        "200,001 elements were accepted"
    );
    Ok(())
}

/// Sends request headers of all API keys and versions, known or not, without a body.
fn all_keys_and_versions(node: &Node) -> Result<()> {
    for key in 0..100_u8 {
        for version in 0..20_u8 {
            let mut stream = open(node)?;
            let header = [0, key, 0, version, 0, 0, 0, 1, 255, 255, 0];
            stream.write_all(&framed(&header)?)?;
            // Without more input the broker responds or closes the connection at once.
            stream.shutdown(std::net::Shutdown::Write)?;
            drain(&mut stream)?;
        }
    }
    Ok(())
}

/// Sends valid batches that are small on the wire and decompress to almost the limit.
fn decompression_bombs(node: &Node) -> Result<()> {
    let mut connection = Connection::open(node.bootstrap())?;
    connection.create_topic("bombs", 1, &[])?;
    let mut value = vec![0; 60 << 20];
    // Random bytes keep the decompression ratio below its limit.
    fill_random(&mut { SEED }, &mut value[..200_000]);
    let mut producers = Vec::new();
    for _ in 0..6 {
        let (sender, deliveries) = producer(
            config(node.bootstrap())
                .set("compression.type", "zstd")
                .set("message.max.bytes", "70000000"),
        )?;
        send(&sender, ("bombs", Some(0)), "bomb", &value)?;
        producers.push((sender, deliveries));
    }
    for (sender, deliveries) in producers {
        sender.flush(PROGRAM_LIMIT)?;
        ensure!(deliveries.events().len() == 1, "no delivery report");
    }
    Ok(())
}

/// Fetches large responses on connections that never read them.
fn unread_responses(node: &Node) -> Result<()> {
    let mut connection = Connection::open(node.bootstrap())?;
    connection.create_topic("large", 1, &[])?;
    let mut value = vec![0; 1_000_000];
    let mut state = SEED;
    for _ in 0..48 {
        fill_random(&mut state, &mut value);
        connection.produce_values("large", &[Some(&value)])?;
    }
    let fetch = fetch_frame("large", 0)?;
    let mut streams = Vec::new();
    for _ in 0..32 {
        let mut stream = open(node)?;
        for _ in 0..16 {
            stream.write_all(&fetch)?;
        }
        streams.push(stream);
    }
    // The first byte of a response shows that the broker is sending it.
    for stream in &streams {
        stream.peek(&mut [0])?;
    }
    Ok(())
}

fn random_bytes(node: &Node) -> Result<()> {
    let mut bytes = vec![0; 4_096];
    let mut state = SEED;
    for length in 1..400_usize {
        fill_random(&mut state, &mut bytes);
        let mut stream = open(node)?;
        // Alternates between a correct frame length and no length at all.
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

/// Produces records with the maximum number of headers, and one with one header more.
fn many_record_headers(node: &Node) -> Result<()> {
    let mut connection = Connection::open(node.bootstrap())?;
    let with_headers = |offset: i32, headers: usize| {
        let mut record = record(offset, None, Some(b"value"));
        let header = |at: usize| (StrBytes::from_string(format!("h{at}")), None);
        record.headers = (0..headers).map(header).collect();
        record
    };
    let max: Vec<Record> = (0..80).map(|offset| with_headers(offset, 1_000)).collect();
    let max = produce_batches("valid", -1, vec![(0, batch_of(&max)?)]);
    let over = batch_of(&[with_headers(0, 1_001)])?;
    let over = produce_batches("valid", -1, vec![(0, over)]);
    for _ in 0..20 {
        let accepted = first_error(&connection.call(9, &max)?);
        ensure!(accepted == Some(0), "{accepted:?}");
        let rejected = first_error(&connection.call(9, &over)?);
        ensure!(rejected == Some(INVALID_RECORD), "{rejected:?}");
    }
    Ok(())
}

/// Opens and closes many connections, and keeps many open without a complete request.
fn many_connections(node: &Node) -> Result<()> {
    for _ in 0..1_000 {
        drop(TcpStream::connect(node.bootstrap())?);
    }
    let mut idle = Vec::new();
    for _ in 0..600 {
        let mut stream = open(node)?;
        stream.write_all(&[0])?;
        idle.push(stream);
    }
    serves(node)
}

/// Creates partitions up to the mutation limit, then auto-creates thousands of topics.
fn many_topics(node: &Node) -> Result<()> {
    let mut connection = Connection::open(node.bootstrap())?;
    let topic = |at: i32| {
        CreatableTopic::default()
            .with_name(topic_name(&format!("many{at}")))
            .with_num_partitions(1_000)
            .with_replication_factor(1)
    };
    let request = CreateTopicsRequest::default()
        .with_topics((0..8).map(topic).collect())
        .with_timeout_ms(30_000);
    let response = connection.call(7, &request)?;
    let codes = response.topics.iter().map(|topic| topic.error_code);
    let mut codes: Vec<i16> = codes.collect();
    codes.dedup();
    ensure!(codes == [0, THROTTLED], "{codes:?}");
    let named = |at: i32| {
        let name = topic_name(&format!("named{at}"));
        MetadataRequestTopic::default().with_name(Some(name))
    };
    let request = MetadataRequest::default()
        .with_topics(Some((0..9_000).map(named).collect()))
        .with_allow_auto_topic_creation(true);
    let response = connection.call(9, &request)?;
    let created = response.topics.iter().filter(|topic| topic.error_code == 0);
    let created = created.count();
    ensure!(created < 4_000, "{created} topics were created");
    Ok(())
}

/// Sends many batches, each with a new producer id.
fn many_producer_ids(node: &Node) -> Result<()> {
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
        let response = connection.call(9, &produce_batches("many0", -1, batches?))?;
        let error = first_error(&response);
        ensure!(error == Some(0), "{error:?}");
    }
    Ok(())
}

/// Creates groups with a member of maximum metadata size until the limit is reached.
fn many_groups(node: &Node) -> Result<()> {
    let protocol = JoinGroupRequestProtocol::default()
        .with_name(StrBytes::from_static_str("range"))
        .with_metadata(vec![0; 60_000].into());
    let join = |at: i32| {
        JoinGroupRequest::default()
            .with_group_id(GroupId(StrBytes::from_string(format!("many{at}"))))
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
    bail!("the number of groups is not limited")
}

/// Returns the error code of the first partition of a response.
fn first_error(response: &ProduceResponse) -> Option<i16> {
    let topic = response.responses.first()?;
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

/// Returns true if the broker closes the connection without sending another byte.
fn is_closed(stream: &mut TcpStream) -> Result<bool> {
    match stream.read(&mut [0]) {
        Ok(count) => Ok(count == 0),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Reads until the broker closes the connection.
fn drain(stream: &mut TcpStream) -> Result<()> {
    match stream.read_to_end(&mut Vec::new()) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Fills a buffer with pseudo-random bytes (xorshift), the same in every run.
fn fill_random(state: &mut u64, bytes: &mut [u8]) {
    for byte in bytes {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *byte = state.to_be_bytes()[0];
    }
}
