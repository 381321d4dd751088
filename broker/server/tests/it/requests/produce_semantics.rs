//! Produce: sequence numbers, order, reserved batch attributes, and the stored form of batches.

use std::sync::Arc;

use avouch_protocol::batch::{self, BatchHeader, Codec};
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use avouch_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse,
};
use avouch_protocol::messages::produce::ProduceResponse;
use bytes::Bytes;

use super::client::{
    Client, NOW, OneSubject, batch_of, broker_with, connected_broker, only, produce_request,
    sequenced,
};

/// Confluent's framing of id 1, then the Avro string "a".
const VALID: &[u8] = &[0, 0, 0, 0, 1, 2, b'a'];
/// The same with a truncated string.
const TRUNCATED: &[u8] = &[0, 0, 0, 0, 1, 4, b'a'];

/// Returns the batch at an offset of partition 0.
async fn stored(client: &mut Client, topic: &str, offset: i64) -> Bytes {
    let request = FetchRequest {
        // A fetch returns at least one batch, here exactly one.
        max_bytes: 1,
        topics: vec![FetchTopic {
            topic: topic.to_owned(),
            partitions: vec![FetchPartition {
                fetch_offset: offset,
                partition_max_bytes: 1,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let response: FetchResponse = client.call(11, &request).await;
    let topic = response.responses.into_iter().next().unwrap();
    topic
        .partitions
        .into_iter()
        .next()
        .unwrap()
        .records
        .into_bytes()
}

// Conformance: broker/produce-7
#[tokio::test]
async fn requests_in_flight_keep_their_order() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let mut sent = Vec::new();
    for sequence in 0..5 {
        let request = produce_request("t", 0, -1, sequenced(7, 0, sequence, &[b"v"]));
        sent.push(client.send(9, &request).await);
    }
    for (correlation, offset) in sent.into_iter().zip(0..) {
        let response: ProduceResponse = client.receive(9, correlation).await;
        assert_eq!(
            (only(&response).error_code, only(&response).base_offset),
            (0, offset)
        );
    }
}

// Conformance: broker/produce-8
#[tokio::test]
async fn producer_sequences_follow_kafka() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let max = i32::MAX;
    // Producer, epoch, first sequence, records; then error code and first offset.
    for (producer, epoch, sequence, count, code, offset) in [
        // An unknown producer can start with any sequence number.
        (1, 0, 100, 1, 0, 0),
        (1, 0, 101, 2, 0, 1),
        (1, 0, 103, 1, 0, 3),
        (1, 0, 104, 1, 0, 4),
        (1, 0, 105, 1, 0, 5),
        (1, 0, 106, 1, 0, 6),
        // The last five batches are recognized as duplicates in any order; older ones are not.
        (1, 0, 101, 2, 0, 1),
        (1, 0, 106, 1, 0, 6),
        (1, 0, 100, 1, 46, -1),
        (1, 0, 108, 1, 45, -1),
        // A new epoch starts at 0 and fences the old one.
        (1, 1, 5, 1, 45, -1),
        (1, 1, 0, 1, 0, 7),
        (1, 0, 107, 1, 47, -1),
        // Sequence numbers wrap to 0 after the maximum.
        (2, 0, max - 1, 3, 0, 8),
        (2, 0, 1, 1, 0, 11),
        (3, 0, max, 1, 0, 12),
        (3, 0, 0, 1, 0, 13),
    ] {
        let values = vec![&b"v"[..]; count];
        let batch = sequenced(producer, epoch, sequence, &values);
        let response = client.produce("t", batch).await;
        let result = (only(&response).error_code, only(&response).base_offset);
        assert_eq!(result, (code, offset), "{producer}/{epoch} at {sequence}");
    }
}

// Conformance: broker/produce-9
#[tokio::test]
async fn rejected_batch_uses_no_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Arc::new(OneSubject::default());
    registry.register();
    let broker = broker_with(dir.path(), registry).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("checked", 1).await;
    for (epoch, sequence, value, code) in [
        (0, 0, VALID, 0),
        // The rejected sequence number must be sent again, before the next one.
        (0, 1, TRUNCATED, 87),
        (0, 2, VALID, 45),
        (0, 1, VALID, 0),
        (0, 2, TRUNCATED, 87),
        (1, 0, VALID, 0),
    ] {
        let response = client
            .produce("checked", sequenced(7, epoch, sequence, &[value]))
            .await;
        assert_eq!(only(&response).error_code, code, "{epoch} {sequence}");
    }
}

// Conformance: broker/produce-9
#[tokio::test]
async fn oversized_batch_uses_no_sequence() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let limit = [("max.message.bytes", "1024")];
    client.create_topic_with("t", 1, &limit).await;
    let value = [7; 600];
    // A client that splits the batch sends its parts with the sequence numbers of the whole. Java
    // sends the whole a second time before it splits it.
    let (whole, part) = (&[&value[..], &value[..]][..], &[&value[..]][..]);
    for (sequence, values, code) in [
        (0, part, 0),
        (1, whole, 10),
        (1, whole, 10),
        (2, part, 45),
        (1, part, 0),
        (2, part, 0),
    ] {
        let batch = sequenced(7, 0, sequence, values);
        let response = client.produce("t", batch).await;
        assert_eq!(only(&response).error_code, code, "{sequence}");
    }
}

// Conformance: broker/produce-1, broker/produce-11, broker/deviation-3
#[tokio::test]
async fn broker_only_batches_are_rejected() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let control = {
        let mut builder = BatchBuilder::new(Codec::None).control();
        builder.push(Some(b"k"), Some(b"v"), NOW, &[]);
        builder.finish()
    };
    let append_time = {
        let mut bytes = batch_of(&[b"v"]).to_vec();
        // Bit 3 of the attributes is the timestamp type. Only the broker may set it.
        bytes[22] |= 8;
        // Stamping the same maximum timestamp recomputes the CRC.
        batch::stamp_max_timestamp(&mut bytes, NOW);
        bytes.into()
    };
    for (what, batch, code) in [
        ("control batch", control, 87),
        ("append timestamps", append_time, 32),
        (
            "producer id without sequence number",
            sequenced(7, 0, -1, &[b"v"]),
            87,
        ),
    ] {
        let response = client.produce("t", batch).await;
        assert_eq!(only(&response).error_code, code, "{what}: {response:?}");
    }
    let offsets = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some("__consumer_offsets".to_owned()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let _: MetadataResponse = client.call(12, &offsets).await;
    let response = client
        .produce("__consumer_offsets", batch_of(&[b"v"]))
        .await;
    // INVALID_TOPIC_EXCEPTION.
    assert_eq!(only(&response).error_code, 17);
}

// Conformance: broker/produce-4
#[tokio::test]
async fn compacted_topic_rejects_records_without_key() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let compacted = [("cleanup.policy", "compact")];
    client.create_topic_with("t", 1, &compacted).await;
    let mut builder = BatchBuilder::new(Codec::None);
    // All records without a key are reported, not only the first.
    for key in [Some(&b"k"[..]), None, Some(b"k"), None] {
        builder.push(key, Some(b"v"), NOW, &[]);
    }
    let response = client.produce("t", builder.finish()).await;
    let rejected = only(&response);
    let named: Vec<i32> = rejected
        .record_errors
        .iter()
        .map(|error| error.batch_index)
        .collect();
    assert_eq!((rejected.error_code, named), (87, vec![1, 3]));
    let response = client.produce("t", batch_of(&[b"v"])).await;
    assert_eq!(
        only(&response).base_offset,
        0,
        "a rejected batch was appended"
    );
}

// Conformance: broker/produce-2, broker/deviation-1
#[tokio::test]
async fn batch_is_stored_unchanged_except_offset() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    // With offsets above 0 the broker must write the base offset into each batch.
    client.produce("t", batch_of(&[b"first"])).await;
    let codecs = [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ];
    for (codec, offset) in codecs.into_iter().zip(1..) {
        let mut builder = BatchBuilder::new(codec);
        builder.push(Some(b"k"), Some(&[b'v'; 300]), NOW, &[(b"h", Some(b"1"))]);
        let produced = builder.finish();
        client.produce("t", produced.clone()).await;
        let read = stored(&mut client, "t", offset).await;
        // All bytes except base offset and leader epoch: the length, and magic to the end.
        assert_eq!(read[8..12], produced[8..12], "{codec:?}");
        assert_eq!(read[16..], produced[16..], "{codec:?}");
        assert_eq!(BatchHeader::parse(&read).unwrap().base_offset.0, offset);
    }
}

// Conformance: broker/produce-5, log/20
#[tokio::test]
async fn log_append_time_is_stored_and_returned() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let append_time = [("message.timestamp.type", "LogAppendTime")];
    client.create_topic_with("t", 1, &append_time).await;
    client.create_topic("plain", 1).await;
    let response = client.produce("t", batch_of(&[b"v"])).await;
    let returned = only(&response).log_append_time_ms;
    let read = stored(&mut client, "t", 0).await;
    let header = BatchHeader::parse(&read).unwrap();
    assert!(header.is_log_append_time() && batch::crc_matches(&read));
    assert!(returned > NOW.0 && header.max_timestamp.0 == returned);
    let plain = client.produce("plain", batch_of(&[b"v"])).await;
    assert_eq!(only(&plain).log_append_time_ms, -1);
}

// Conformance: broker/produce-5
#[tokio::test]
async fn duplicate_returns_original_append_time() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let append_time = [("message.timestamp.type", "LogAppendTime")];
    client.create_topic_with("t", 1, &append_time).await;
    let first = client.produce("t", sequenced(7, 0, 0, &[b"a"])).await;
    // The last append time is another one now.
    client.produce("t", sequenced(7, 0, 1, &[b"b"])).await;
    let again = client.produce("t", sequenced(7, 0, 0, &[b"a"])).await;
    let result = |response: &ProduceResponse| {
        let partition = only(response);
        (partition.base_offset, partition.log_append_time_ms)
    };
    assert!(result(&first).1 > NOW.0);
    assert_eq!(result(&again), result(&first));
}

// Conformance: broker/produce-6, broker/fetch-13
#[tokio::test]
async fn acknowledgement_returns_base_and_start_offset() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let two_replicas = [("min.insync.replicas", "2")];
    client.create_topic_with("t", 1, &two_replicas).await;
    for (acks, offset) in [(1, 0), (-1, 1)] {
        let request = produce_request("t", 0, acks, batch_of(&[b"v"]));
        let response: ProduceResponse = client.call(9, &request).await;
        let partition = only(&response);
        // min.insync.replicas is capped by the number of replicas, which is 1.
        assert_eq!(
            (
                partition.error_code,
                partition.base_offset,
                partition.log_start_offset
            ),
            (0, offset, 0),
            "acks {acks}"
        );
        assert_eq!(response.throttle_time_ms, 0);
    }
}
