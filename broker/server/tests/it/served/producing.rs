//! Produce, rule by rule: sequences, order, what a batch may be, how it is stored.

use std::sync::Arc;

use avouch_protocol::batch::{self, BatchHeader, Codec};
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use avouch_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse,
};
use avouch_protocol::messages::produce::{PartitionProduceResponse, ProduceResponse};
use avouch_protocol::types::{ProducerEpoch, ProducerId, Sequence, TimestampMs};
use bytes::Bytes;

use super::client::{Client, OneSubject, batch_of, broker, broker_with, produce_request};

const NOW: TimestampMs = TimestampMs(1_700_000_000_000);
/// Confluent's framing of id 1, then the Avro string "a"; and the same cut short.
const VALID: &[u8] = &[0, 0, 0, 0, 1, 2, b'a'];
const CUT: &[u8] = &[0, 0, 0, 0, 1, 4, b'a'];

fn only(response: &ProduceResponse) -> &PartitionProduceResponse {
    &response.responses[0].partition_responses[0]
}

fn sequenced(producer: i64, epoch: i16, sequence: i32, values: &[&[u8]]) -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None).producer(
        ProducerId(producer),
        ProducerEpoch(epoch),
        Sequence(sequence),
    );
    for value in values {
        builder.push(Some(b"k"), Some(value), NOW, &[]);
    }
    builder.finish()
}

/// The first batch of a topic's partition 0.
async fn stored(client: &mut Client, topic: &str, offset: i64) -> Bytes {
    let request = FetchRequest {
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
    let response: FetchResponse = client.ask(11, &request).await;
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
async fn five_requests_in_flight_are_appended_and_answered_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
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
async fn sequences_are_kept_as_kafka_keeps_them() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 1).await;
    let max = i32::MAX;
    // Producer, epoch, first sequence, records; then error code and first offset.
    for (producer, epoch, sequence, count, code, offset) in [
        // A producer that is not known begins anywhere.
        (1, 0, 100, 1, 0, 0),
        (1, 0, 101, 2, 0, 1),
        (1, 0, 103, 1, 0, 3),
        (1, 0, 104, 1, 0, 4),
        (1, 0, 105, 1, 0, 5),
        (1, 0, 106, 1, 0, 6),
        // Each of the last five is known, whatever came between; an older one is not.
        (1, 0, 101, 2, 0, 1),
        (1, 0, 106, 1, 0, 6),
        (1, 0, 100, 1, 46, -1),
        (1, 0, 108, 1, 45, -1),
        // A new epoch begins at 0, and fences the old one.
        (1, 1, 5, 1, 45, -1),
        (1, 1, 0, 1, 0, 7),
        (1, 0, 107, 1, 47, -1),
        // Sequences go on at 0 after the greatest.
        (2, 0, max - 1, 3, 0, 8),
        (2, 0, 1, 1, 0, 11),
        (3, 0, max, 1, 0, 12),
        (3, 0, 0, 1, 0, 13),
    ] {
        let values = vec![&b"v"[..]; count];
        let batch = sequenced(producer, epoch, sequence, &values);
        let response = client.produce("t", batch).await;
        let answer = (only(&response).error_code, only(&response).base_offset);
        assert_eq!(answer, (code, offset), "{producer}/{epoch} at {sequence}");
    }
}

// Conformance: broker/produce-9
#[tokio::test]
async fn a_refused_batch_takes_no_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Arc::new(OneSubject::default());
    registry.register();
    let broker = broker_with(dir.path(), registry).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("checked", 1).await;
    for (epoch, sequence, value, code) in [
        (0, 0, VALID, 0),
        (0, 1, CUT, 87),
        (0, 2, VALID, 45),
        (0, 1, VALID, 0),
        (0, 2, CUT, 87),
        (1, 0, VALID, 0),
    ] {
        let response = client
            .produce("checked", sequenced(7, epoch, sequence, &[value]))
            .await;
        assert_eq!(only(&response).error_code, code, "{epoch} {sequence}");
    }
}

// Conformance: broker/produce-1, broker/produce-11, broker/deviation-3
#[tokio::test]
async fn what_only_a_broker_may_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 1).await;
    let control = {
        let mut builder = BatchBuilder::new(Codec::None).control();
        builder.push(Some(b"k"), Some(b"v"), NOW, &[]);
        builder.finish()
    };
    let append_time = {
        let mut bytes = batch_of(&[b"v"]).to_vec();
        bytes[22] |= 8;
        // Writing the same greatest timestamp again makes the CRC right.
        batch::stamp_max_timestamp(&mut bytes, NOW);
        bytes.into()
    };
    for (what, batch, code) in [
        ("a control batch", control, 87),
        ("the broker's timestamps", append_time, 32),
        (
            "a producer without a sequence",
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
    let _: MetadataResponse = client.ask(12, &offsets).await;
    let response = client
        .produce("__consumer_offsets", batch_of(&[b"v"]))
        .await;
    assert_eq!(only(&response).error_code, 17);
}

// Conformance: broker/produce-4
#[tokio::test]
async fn records_without_a_key_are_named_and_keep_their_batch_out_of_a_compacted_topic() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let compacted = [("cleanup.policy", "compact")];
    client.create_topic_with("t", 1, &compacted).await;
    let mut builder = BatchBuilder::new(Codec::None);
    for key in [Some(&b"k"[..]), None, Some(b"k"), None] {
        builder.push(key, Some(b"v"), NOW, &[]);
    }
    let response = client.produce("t", builder.finish()).await;
    let refused = only(&response);
    let named: Vec<i32> = refused
        .record_errors
        .iter()
        .map(|error| error.batch_index)
        .collect();
    assert_eq!((refused.error_code, named), (87, vec![1, 3]));
    let response = client.produce("t", batch_of(&[b"v"])).await;
    assert_eq!(only(&response).base_offset, 0, "nothing was appended");
}

// Conformance: broker/produce-2, broker/deviation-1
#[tokio::test]
async fn a_batch_is_stored_as_it_came_but_for_its_offset_and_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 1).await;
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
        // The length, then everything that the CRC covers, and the CRC itself.
        assert_eq!(read[8..12], produced[8..12], "{codec:?}");
        assert_eq!(read[16..], produced[16..], "{codec:?}");
        assert_eq!(BatchHeader::parse(&read).unwrap().base_offset.0, offset);
    }
}

// Conformance: broker/produce-5, log/20
#[tokio::test]
async fn a_topic_of_append_times_stamps_them_and_tells_them() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let append_time = [("message.timestamp.type", "LogAppendTime")];
    client.create_topic_with("t", 1, &append_time).await;
    client.create_topic("plain", 1).await;
    let response = client.produce("t", batch_of(&[b"v"])).await;
    let told = only(&response).log_append_time_ms;
    let read = stored(&mut client, "t", 0).await;
    let header = BatchHeader::parse(&read).unwrap();
    assert!(header.is_log_append_time() && batch::crc_matches(&read));
    assert!(told > NOW.0 && header.max_timestamp.0 == told);
    let plain = client.produce("plain", batch_of(&[b"v"])).await;
    assert_eq!(only(&plain).log_append_time_ms, -1);
}

// Conformance: broker/produce-5
#[tokio::test]
async fn a_duplicate_is_told_the_time_that_its_original_was_stamped_with() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let append_time = [("message.timestamp.type", "LogAppendTime")];
    client.create_topic_with("t", 1, &append_time).await;
    let first = client.produce("t", sequenced(7, 0, 0, &[b"a"])).await;
    client.produce("t", sequenced(7, 0, 1, &[b"b"])).await;
    let again = client.produce("t", sequenced(7, 0, 0, &[b"a"])).await;
    let told = |response: &ProduceResponse| {
        let answer = only(response);
        (answer.base_offset, answer.log_append_time_ms)
    };
    assert!(told(&first).1 > NOW.0);
    assert_eq!(told(&again), told(&first));
}

// Conformance: broker/produce-6, broker/fetch-13
#[tokio::test]
async fn every_acknowledgement_tells_where_the_batch_and_the_log_begin() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let two_replicas = [("min.insync.replicas", "2")];
    client.create_topic_with("t", 1, &two_replicas).await;
    for (acks, offset) in [(1, 0), (-1, 1)] {
        let request = produce_request("t", 0, acks, batch_of(&[b"v"]));
        let response: ProduceResponse = client.ask(9, &request).await;
        let answer = only(&response);
        assert_eq!(
            (
                answer.error_code,
                answer.base_offset,
                answer.log_start_offset
            ),
            (0, offset, 0),
            "acks {acks}; one replica is all that one broker can have in sync"
        );
        assert_eq!(response.throttle_time_ms, 0);
    }
}
