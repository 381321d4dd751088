//! The life of data as consumers see it: compaction, retention of what nobody writes to.

use std::path::Path;
use std::time::Duration;

use avouch_broker::types::TimestampMs;
use avouch_broker::wire::batch::{BatchHeader, Codec};
use avouch_broker::wire::builder::BatchBuilder;
use avouch_broker::wire::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsResponse, DeleteRecordsTopic,
};
use avouch_broker::wire::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic,
};
use avouch_broker::wire::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use avouch_broker::{Broker, BrokerConfig};
use bytes::Bytes;

use super::client::{Client, start};

/// A broker that looks after its data all the time.
async fn busy_broker(dir: &Path) -> Broker {
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

/// Base offsets of all batches with records, from the beginning.
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
    let response: FetchResponse = client.ask(11, &request).await;
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
    look_up(client, topic, -2).await
}

/// The offset at a time, or what Kafka's negative times stand for; -1 for none.
async fn look_up(client: &mut Client, topic: &str, timestamp: i64) -> i64 {
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
    let response: ListOffsetsResponse = client.ask(7, &request).await;
    response.topics[0].partitions[0].offset
}

#[tokio::test]
async fn a_consumer_of_a_compacted_topic_finds_the_newest_value_of_each_key() {
    let dir = tempfile::tempdir().unwrap();
    let broker = busy_broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let configs = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "150"),
        ("min.cleanable.dirty.ratio", "0"),
    ];
    client.create_topic_with("t", 1, &configs).await;
    for (key, value) in [("a", "1"), ("b", "2"), ("a", "3"), ("a", "4"), ("c", "5")] {
        let response = client.produce("t", keyed(key, Some(value), 1)).await;
        assert_eq!(response.responses[0].partition_responses[0].error_code, 0);
    }
    // The last one is in the active segment.
    while fetched(&mut client, "t").await != [1, 3, 4] {
        tokio::task::yield_now().await;
    }
    broker.shutdown().await;
    let broker = busy_broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    assert_eq!(fetched(&mut client, "t").await, [1, 3, 4]);
    assert_eq!(log_start(&mut client, "t").await, 0);
    broker.shutdown().await;
}

#[tokio::test]
async fn a_topic_that_nobody_writes_to_is_emptied_by_age() {
    let dir = tempfile::tempdir().unwrap();
    let broker = busy_broker(dir.path()).await;
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

#[tokio::test]
async fn a_time_is_looked_for_from_the_log_start_on_to_the_record() {
    let dir = tempfile::tempdir().unwrap();
    let broker = busy_broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let forever = [("retention.ms", "-1")];
    client.create_topic_with("t", 1, &forever).await;
    let mut builder = BatchBuilder::new(Codec::Zstd);
    for timestamp in [100, 200, 300] {
        builder.push(None, Some(b"v"), TimestampMs(timestamp), &[]);
    }
    client.produce("t", builder.finish()).await;
    client.produce("t", keyed("a", Some("1"), 150)).await;
    // Log start; then offsets at times 150 and 200, and of the greatest timestamp.
    for (start, at_150, at_200, greatest) in [(0, 1, 1, 2), (2, 2, 2, 2), (3, 3, -1, 3)] {
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
        let _cut: DeleteRecordsResponse = client.ask(2, &request).await;
        assert_eq!(log_start(&mut client, "t").await, start);
        for (timestamp, offset) in [(150, at_150), (200, at_200), (-3, greatest)] {
            let found = look_up(&mut client, "t", timestamp).await;
            assert_eq!(found, offset, "time {timestamp} from {start} on");
        }
    }
    broker.shutdown().await;
}
