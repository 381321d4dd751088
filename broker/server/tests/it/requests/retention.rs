//! Compaction, retention and timestamp lookups from a consumer's point of view.

use std::path::Path;
use std::time::Duration;

use avouch_broker::{Broker, BrokerConfig};
use avouch_protocol::batch::{BatchHeader, Codec};
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};
use avouch_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use avouch_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use avouch_protocol::types::{ProducerEpoch, ProducerId, Sequence, TimestampMs};
use bytes::Bytes;

use super::client::{Client, start};

/// Starts a broker with a retention check interval of 5 ms.
async fn start_broker(dir: &Path) -> Broker {
    let config = BrokerConfig {
        retention_check: Duration::from_millis(5),
        ..BrokerConfig::new(dir.to_owned())
    };
    start(config, std::sync::Arc::default()).await
}

fn keyed(key: &str, value: Option<&str>, timestamp: i64) -> Bytes {
    let mut builder = BatchBuilder::new(Codec::Lz4);
    let value = value.map(str::as_bytes);
    builder.push(Some(key.as_bytes()), value, TimestampMs(timestamp), &[]);
    builder.finish()
}

/// Returns the base offsets of all batches with records, from offset 0.
async fn fetched(client: &mut Client, topic: &str) -> Vec<i64> {
    let request = FetchRequest {
        topics: vec![FetchTopic {
            topic: topic.to_owned(),
            partitions: vec![FetchPartition {
                fetch_offset: 0,
                partition_max_bytes: 1 << 20,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let response: FetchResponse = client.call(11, &request).await;
    let bytes = response.responses[0].partitions[0]
        .records
        .clone()
        .into_bytes();
    let mut rest = bytes.as_ref();
    let mut bases = Vec::new();
    while !rest.is_empty() {
        let header = BatchHeader::parse(rest).unwrap();
        bases.extend((header.record_count > 0).then_some(header.base_offset.0));
        rest = &rest[header.size_bytes..];
    }
    bases
}

async fn log_start(client: &mut Client, topic: &str) -> i64 {
    offset_for(client, topic, -2).await
}

/// Returns the offset for a timestamp, which can be one of Kafka's special values; -1 if there is
/// none.
async fn offset_for(client: &mut Client, topic: &str, timestamp: i64) -> i64 {
    let request = ListOffsetsRequest {
        topics: vec![ListOffsetsTopic {
            name: topic.to_owned(),
            partitions: vec![ListOffsetsPartition {
                current_leader_epoch: -1,
                timestamp,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    let response: ListOffsetsResponse = client.call(7, &request).await;
    response.topics[0].partitions[0].offset
}

// Conformance: broker/produce-14, log/10
#[tokio::test]
async fn compaction_keeps_newest_value_of_key() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start_broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let configs = [
        ("cleanup.policy", "compact"),
        ("internal.segment.bytes", "150"),
        ("min.cleanable.dirty.ratio", "0"),
    ];
    client.create_topic_with("t", 1, &configs).await;
    for (key, value) in [("a", "1"), ("b", "2"), ("a", "3"), ("a", "4"), ("c", "5")] {
        let response = client.produce("t", keyed(key, Some(value), 1)).await;
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    }
    // The last record is in the active segment, which is not compacted.
    while fetched(&mut client, "t").await != [1, 3, 4] {
        tokio::task::yield_now().await;
    }
    broker.shutdown().await;
    let broker = start_broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    assert_eq!(fetched(&mut client, "t").await, [1, 3, 4]);
    assert_eq!(log_start(&mut client, "t").await, 0);
    broker.shutdown().await;
}

/// Fetches from `offset` and returns the base offset and the record count of each batch.
async fn batches(
    client: &mut Client,
    topic: &str,
    offset: i64,
    bytes_max: i32,
) -> Vec<(i64, usize)> {
    let request = FetchRequest {
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
    };
    let response: FetchResponse = client.call(11, &request).await;
    let partition = &response.responses[0].partitions[0];
    assert_eq!(partition.error_code, 0, "at {offset}");
    let bytes = partition.records.clone().into_bytes();
    let mut rest = bytes.as_ref();
    let mut batches = Vec::new();
    while !rest.is_empty() {
        let header = BatchHeader::parse(rest).unwrap();
        batches.push((
            header.base_offset.0,
            usize::try_from(header.record_count).unwrap(),
        ));
        rest = &rest[header.size_bytes..];
    }
    batches
}

// Conformance: broker/fetch-12
#[tokio::test]
async fn fetch_continues_across_offset_gaps() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start_broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let configs = [
        ("cleanup.policy", "compact"),
        ("internal.segment.bytes", "100"),
        ("min.cleanable.dirty.ratio", "0"),
    ];
    client.create_topic_with("t", 1, &configs).await;
    for sequence in 0..2 {
        let (id, epoch) = (ProducerId(7), ProducerEpoch(0));
        let builder = BatchBuilder::new(Codec::None);
        let mut builder = builder.producer(id, epoch, Sequence(sequence));
        builder.push(Some(b"a"), Some(b"v"), TimestampMs(1), &[]);
        client.produce("t", builder.finish()).await;
    }
    for key in ["b", "b", "a", "c"] {
        client.produce("t", keyed(key, Some("v"), 1)).await;
    }
    // Offsets 0 and 2 are removed; the batch at 1 is retained for its sequence, without records.
    let retained = [(1, 0), (3, 1), (4, 1), (5, 1)];
    while batches(&mut client, "t", 0, 1 << 20).await != retained {
        tokio::task::yield_now().await;
    }
    // Fetch offset, and the only batch within the limit.
    for (offset, batch) in [
        (0, (1, 0)),
        (1, (1, 0)),
        (2, (3, 1)),
        (3, (3, 1)),
        (5, (5, 1)),
    ] {
        let got = batches(&mut client, "t", offset, 1).await;
        assert_eq!(got, [batch], "from {offset}");
    }
    let from = |offset| retained.iter().filter(move |(base, _)| *base >= offset);
    for offset in 0..=6 {
        let got = batches(&mut client, "t", offset, 1 << 20).await;
        assert!(got.iter().eq(from(offset)), "from {offset}: {got:?}");
    }
    broker.shutdown().await;
}

// Conformance: broker/fetch-8
#[tokio::test]
async fn special_timestamps_depend_on_request_version() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start_broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 1).await;
    // Special timestamp, and the first version that supports it; no version supports the last two.
    for (timestamp, since) in [
        (-1, 1),
        (-2, 1),
        (-3, 7),
        (-4, 8),
        (-5, 9),
        (-6, 99),
        (-7, 99),
    ] {
        for version in 1..=9 {
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
            let response: ListOffsetsResponse = client.call(version, &request).await;
            let error_code = response.topics[0].partitions[0].error_code;
            let expected = if version < since { 35 } else { 0 };
            assert_eq!(error_code, expected, "{timestamp} in version {version}");
        }
    }
    broker.shutdown().await;
}

// Conformance: broker/produce-15, log/11
#[tokio::test]
async fn retention_empties_idle_topic() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start_broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client
        .create_topic_with("t", 1, &[("retention.ms", "60000")])
        .await;
    client.produce("t", keyed("a", Some("1"), 1_000)).await;
    while log_start(&mut client, "t").await != 1 {
        tokio::task::yield_now().await;
    }
    broker.shutdown().await;
}

// Conformance: log/19
#[tokio::test]
async fn timestamp_lookup_starts_at_log_start() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start_broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let unlimited = [("retention.ms", "-1")];
    client.create_topic_with("t", 1, &unlimited).await;
    let mut builder = BatchBuilder::new(Codec::Zstd);
    for timestamp in [100, 200, 300] {
        builder.push(None, Some(b"v"), TimestampMs(timestamp), &[]);
    }
    client.produce("t", builder.finish()).await;
    client.produce("t", keyed("a", Some("1"), 150)).await;
    // Log start offset; then offsets for timestamps 150 and 200, and of the maximum timestamp.
    for (start, at_150, at_200, at_max) in [(0, 1, 1, 2), (2, 2, 2, 2), (3, 3, -1, 3)] {
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: "t".to_owned(),
                partitions: vec![DeleteRecordsPartition {
                    offset: start,
                    ..Default::default()
                }],
            }],
            timeout_ms: 1_000,
        };
        let _deleted: DeleteRecordsResponse = client.call(2, &request).await;
        assert_eq!(log_start(&mut client, "t").await, start);
        for (timestamp, offset) in [(150, at_150), (200, at_200), (-3, at_max)] {
            let found = offset_for(&mut client, "t", timestamp).await;
            assert_eq!(found, offset, "timestamp {timestamp}, log start {start}");
        }
    }
    broker.shutdown().await;
}
