//! Fetch and ListOffsets: complete batches, first and last offsets, delayed fetches, timestamps.

use avouch_protocol::batch::{BatchHeader, Codec};
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, PartitionData,
};
use avouch_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use avouch_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use avouch_protocol::types::TimestampMs;

use super::client::{
    Client, batch_of, broker, broker_limited, broker_measured, connected_broker, counter,
};

fn fetching(topic: &str, offset: i64, bytes_max: i32, wait_ms: i32) -> FetchRequest {
    FetchRequest {
        max_wait_ms: wait_ms,
        min_bytes: 1,
        topics: vec![FetchTopic {
            topic: topic.to_owned(),
            partitions: vec![FetchPartition {
                fetch_offset: offset,
                partition_max_bytes: bytes_max,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn only(response: FetchResponse) -> PartitionData {
    response
        .responses
        .into_iter()
        .next()
        .unwrap()
        .partitions
        .into_iter()
        .next()
        .unwrap()
}

/// Returns the base offsets of the batches in a fetched partition.
fn bases(partition: PartitionData) -> Vec<i64> {
    let bytes = partition.records.into_bytes();
    let mut rest = bytes.as_ref();
    let mut bases = Vec::new();
    while !rest.is_empty() {
        let header = BatchHeader::parse(rest).unwrap();
        bases.push(header.base_offset.0);
        rest = &rest[header.size_bytes..];
    }
    bases
}

// Conformance: broker/fetch-1, main-job/6c
#[tokio::test]
async fn fetch_returns_complete_batches_above_limit() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    client.produce("t", batch_of(&[b"a", b"b", b"c"])).await;
    client.produce("t", batch_of(&[b"d"])).await;
    let all: FetchResponse = client.call(11, &fetching("t", 1, 1 << 20, 0)).await;
    assert_eq!(bases(only(all)), [0, 3]);
    let one: FetchResponse = client.call(11, &fetching("t", 1, 1, 0)).await;
    assert_eq!(bases(only(one)), [0], "one batch above the limit");
    let end: FetchResponse = client.call(11, &fetching("t", 4, 1 << 20, 0)).await;
    let end = only(end);
    assert_eq!(
        (end.error_code, end.high_watermark, end.records.len()),
        (0, 4, 0)
    );
    let beyond: FetchResponse = client.call(11, &fetching("t", 5, 1 << 20, 0)).await;
    assert_eq!(only(beyond).error_code, 1, "OFFSET_OUT_OF_RANGE");
}

// Conformance: broker/fetch-2, main-job/6c
#[tokio::test]
async fn append_completes_delayed_fetch() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut consumer = Client::connect(broker.kafka_address()).await;
    let mut producer = Client::connect(broker.kafka_address()).await;
    producer.create_topic("t", 1).await;
    // With a wait of ten minutes, only the append can complete the fetch in time.
    let correlation = consumer.send(11, &fetching("t", 0, 1 << 20, 600_000)).await;
    producer.produce("t", batch_of(&[b"v"])).await;
    let response: FetchResponse = consumer.receive(11, correlation).await;
    assert_eq!(bases(only(response)), [0]);
}

// Conformance: broker/fetch-7
#[tokio::test]
async fn fetch_by_topic_id() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    client.produce("t", batch_of(&[b"v"])).await;
    let request = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let metadata: MetadataResponse = client.call(12, &request).await;
    // Fetch has topic ids instead of names since version 13.
    let mut by_id = fetching("t", 0, 1 << 20, 0);
    by_id.topics[0].topic_id = metadata.topics[0].topic_id;
    let response: FetchResponse = client.call(16, &by_id).await;
    assert_eq!(bases(only(response)), [0]);
    by_id.topics[0].topic_id = uuid::Uuid::from_u128(1);
    let response: FetchResponse = client.call(16, &by_id).await;
    // UNKNOWN_TOPIC_ID.
    assert_eq!(only(response).error_code, 100);
}

// Conformance: broker/fetch-4, broker/fetch-5
#[tokio::test]
async fn unknown_fetch_session_and_epoch_are_rejected() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let mut request = fetching("t", 0, 1_000, 0);
    request.session_id = 7;
    request.session_epoch = 1;
    let response: FetchResponse = client.call(11, &request).await;
    // FETCH_SESSION_ID_NOT_FOUND makes the client send a full fetch.
    assert_eq!(response.error_code, 70);
    let mut request = fetching("t", 0, 1_000, 0);
    request.topics[0].partitions[0].current_leader_epoch = 9;
    let response: FetchResponse = client.call(11, &request).await;
    assert_eq!(only(response).error_code, 75, "UNKNOWN_LEADER_EPOCH");
}

// Conformance: broker/fetch-4
#[tokio::test]
async fn full_fetch_ignores_session_id() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    client.produce("t", batch_of(&[b"v"])).await;
    // Both epochs request a full fetch, in which Kafka ignores the id.
    for epoch in [0, -1] {
        let mut request = fetching("t", 0, 1 << 20, 0);
        (request.session_id, request.session_epoch) = (7, epoch);
        let response: FetchResponse = client.call(11, &request).await;
        assert_eq!((response.error_code, response.session_id), (0, 0));
        assert_eq!(bases(only(response)), [0], "session epoch {epoch}");
    }
}

// Conformance: broker/fetch-8, log/19
#[tokio::test]
async fn timestamp_lookup_searches_compressed_batches() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let mut builder = BatchBuilder::new(Codec::Zstd);
    // Timestamps out of order: the batch must be decompressed to find the record.
    for time in [100, 300, 200] {
        builder.push(None, Some(b"v"), TimestampMs(time), &[]);
    }
    client.produce("t", builder.finish()).await;
    client.produce("t", batch_of(&[b"v"])).await;
    for (timestamp, offset, at) in [
        // Special values: earliest, latest, maximum timestamp, earliest local, latest tiered.
        (-2, 0, -1),
        (-1, 4, -1),
        (-3, 3, 1_700_000_000_000),
        (-4, 0, -1),
        (-5, -1, -1),
        (0, 0, 100),
        (101, 1, 300),
        (300, 1, 300),
        (301, 3, 1_700_000_000_000),
        (i64::MAX, -1, -1),
    ] {
        let request = ListOffsetsRequest {
            topics: vec![ListOffsetsTopic {
                name: "t".to_owned(),
                partitions: vec![ListOffsetsPartition {
                    timestamp,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let response: ListOffsetsResponse = client.call(9, &request).await;
        let found = &response.topics[0].partitions[0];
        assert_eq!(found.error_code, 0, "{timestamp}");
        assert_eq!((found.offset, found.timestamp), (offset, at), "{timestamp}");
    }
}

// Conformance: broker/input-5b
#[tokio::test]
async fn cold_reads_above_limit_return_one_batch() {
    let dir = tempfile::tempdir().unwrap();
    let first = broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    client.create_topic("t", 1).await;
    for _ in 0..3 {
        client.produce("t", batch_of(&[b"v"])).await;
    }
    first.shutdown().await;
    // After the restart the batches are on disk only, and count as cold reads.
    for (bytes_max, expected) in [(0, vec![1]), (1 << 20, vec![1, 2])] {
        let broker = broker_limited(dir.path(), |limits| {
            limits.cold_read_bytes_max = bytes_max;
        })
        .await;
        let mut client = Client::connect(broker.kafka_address()).await;
        // Twice: records that were sent are no longer counted.
        for _ in 0..2 {
            let read: FetchResponse = client.call(11, &fetching("t", 1, 1_000_000, 0)).await;
            assert_eq!(bases(only(read)), expected);
        }
        broker.shutdown().await;
    }
}

/// Enough batches for zero-copy, some of them at entries of the segment's index.
const LARGE_BATCHES: usize = 40;

#[cfg(target_os = "linux")]
// Conformance: broker/fetch-14
#[tokio::test]
async fn verified_batches_are_sent_zero_copy() {
    let dir = tempfile::tempdir().unwrap();
    let first = broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    client.create_topic("t", 1).await;
    for at in 0..LARGE_BATCHES {
        // Each batch has different bytes, so that a wrong file range is noticed.
        let value = vec![u8::try_from(at).unwrap(); 30_000];
        client.produce("t", batch_of(&[&value, b"v"])).await;
    }
    first.shutdown().await;

    // After the restart all batches are in a segment and not verified yet.
    let metrics = prometheus::Registry::new();
    let broker = broker_measured(dir.path(), &metrics).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let all = fetching("t", 0, 10 << 20, 0);
    let read: FetchResponse = client.call(11, &all).await;
    let read = only(read).records.into_bytes();
    // The first read verifies the CRCs. Only verified batches are sent from the file.
    assert_eq!(counter(&metrics, "avouch_fetched_file_bytes_total"), 0);
    for (offset, bytes_max, bases_expected) in [
        // From the start, from inside a batch, and with a limit on the bytes.
        (0, 10 << 20, (0, 80)),
        (41, 10 << 20, (40, 80)),
        (7, 400_000, (6, 32)),
    ] {
        let before = counter(&metrics, "avouch_fetched_file_bytes_total");
        let request = fetching("t", offset, bytes_max, 0);
        let sent: FetchResponse = client.call(11, &request).await;
        let sent = only(sent);
        let bytes = sent.records.clone().into_bytes();
        let from_file = counter(&metrics, "avouch_fetched_file_bytes_total") - before;
        assert_eq!(from_file, bytes.len(), "at {offset}");
        let found = bases(sent);
        let (first, end) = bases_expected;
        assert_eq!(found, (first..end).step_by(2).collect::<Vec<_>>());
        let at = usize::try_from(first).unwrap() / 2 * (read.len() / LARGE_BATCHES);
        assert!(bytes == read[at..at + bytes.len()], "at {offset}");
    }
    broker.shutdown().await;
}
