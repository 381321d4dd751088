//! Committed offsets over the protocol: recovery with corrupt records, compaction, and expiration
//! by the retention time of a commit.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use avouch_broker::{Broker, BrokerConfig};
use avouch_coordinator::group::{GroupConfig, partition_of};
use avouch_log::{CorruptRange, Listener, Log, LogConfig, RealDisk};
use avouch_protocol::batch::BatchHeader;
use avouch_protocol::messages::describe_log_dirs::{
    DescribeLogDirsRequest, DescribeLogDirsResponse,
};
use avouch_protocol::messages::find_coordinator::{
    FindCoordinatorRequest, FindCoordinatorResponse,
};
use avouch_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse,
};
use avouch_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use avouch_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestTopic, OffsetFetchResponse,
};
use avouch_protocol::types::{Offset, TopicPartition};
use prometheus::{Registry, TextEncoder};

use super::client::{Client, broker, broker_measured, start, start_measured};

const OFFSETS_TOPIC: &str = "__consumer_offsets";

struct NoopListener;

impl Listener for NoopListener {
    fn advanced(&self, _partitions: &[TopicPartition]) {}
    fn poisoned(&self, _reason: &str) {}
    fn low_space(&self, _is_low: bool) {}
    fn corrupt_range_found(&self, _tp: TopicPartition, _range: CorruptRange) {}
}

/// Finds the coordinator of a group, which creates the offsets topic.
async fn coordinator(client: &mut Client, group: &str) {
    let request = FindCoordinatorRequest {
        key: group.to_owned(),
        ..Default::default()
    };
    let found: FindCoordinatorResponse = client.call(1, &request).await;
    assert_eq!(found.error_code, 0);
}

/// Commits an offset of `t-0` without joining the group. The offset expires after `retention_ms`,
/// or after the broker's retention time if that is -1.
async fn commit(client: &mut Client, group: &str, offset: i64, retention_ms: i64) {
    let request = OffsetCommitRequest {
        group_id: group.to_owned(),
        // Versions 2 to 4 of OffsetCommit have a retention time.
        retention_time_ms: retention_ms,
        topics: vec![OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: offset,
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    let response: OffsetCommitResponse = client.call(4, &request).await;
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
}

/// Returns the committed offset of `t-0`, -1 if there is none.
async fn committed(client: &mut Client, group: &str) -> i64 {
    let request = OffsetFetchRequest {
        group_id: group.to_owned(),
        topics: Some(vec![OffsetFetchRequestTopic {
            name: "t".to_owned(),
            partition_indexes: vec![0],
        }]),
        ..Default::default()
    };
    let response: OffsetFetchResponse = client.call(5, &request).await;
    let partition = &response.topics[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    partition.committed_offset
}

/// Returns the partition of `__consumer_offsets` with the records of a group.
async fn offsets_partition(client: &mut Client, group: &str) -> TopicPartition {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(OFFSETS_TOPIC.to_owned()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let metadata: MetadataResponse = client.call(12, &request).await;
    // As in Kafka, the hash of the group id selects one of 50 partitions.
    let index = partition_of(&group.into(), 50).0;
    let id = metadata.topics[0].topic_id;
    format!("{id}-{index}").parse().unwrap()
}

fn segment(dir: &Path, partition: TopicPartition) -> PathBuf {
    let folder = dir.join("log/data").join(partition.to_string());
    folder.join("00000000000000000000.log")
}

/// docs/log-format.md, "Segment".
const SEGMENT_HEADER_BYTES: usize = 64;

/// Corrupts the last byte of a batch, selected by index; a negative index counts from the end.
fn corrupt(segment: &Path, index: isize) {
    let mut bytes = std::fs::read(segment).unwrap();
    // Batches follow the header and each other without padding.
    let mut ends = Vec::new();
    let mut at = SEGMENT_HEADER_BYTES;
    while at < bytes.len() {
        at += BatchHeader::parse(&bytes[at..]).unwrap().size_bytes;
        ends.push(at);
    }
    let count = isize::try_from(ends.len()).unwrap();
    let index = usize::try_from(index.rem_euclid(count)).unwrap();
    bytes[ends[index] - 1] ^= 1;
    std::fs::write(segment, bytes).unwrap();
}

// Conformance: broker/groups-12
#[tokio::test]
async fn broker_starts_with_corrupt_group_records() {
    let dir = tempfile::tempdir().unwrap();
    let first = broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    client.create_topic("t", 1).await;
    coordinator(&mut client, "g").await;
    for offset in 1..=5 {
        commit(&mut client, "g", offset, -1).await;
    }
    let partition = offsets_partition(&mut client, "g").await;
    first.shutdown().await;

    // A corrupt batch in the middle: later commits are recovered.
    corrupt(&segment(dir.path(), partition), 1);
    let metrics = Registry::new();
    let second = broker_measured(dir.path(), &metrics).await;
    let mut client = Client::connect(second.kafka_address()).await;
    assert_eq!(committed(&mut client, "g").await, 5);
    let counted = TextEncoder::new().encode_to_string(&metrics.gather());
    let counted = counted.unwrap();
    assert!(counted.contains("\navouch_log_damaged_ranges_total 1\n"));
    second.shutdown().await;

    // A corrupt batch at the end: the group continues from the previous commit.
    corrupt(&segment(dir.path(), partition), -1);
    let third = broker(dir.path()).await;
    let mut client = Client::connect(third.kafka_address()).await;
    assert_eq!(committed(&mut client, "g").await, 4);
    third.shutdown().await;

    // After an operator has skipped the corrupt range, no records follow the fourth commit.
    let config = LogConfig::new(dir.path().join("log"));
    let (log, _) = Log::open(config, Arc::new(RealDisk), Arc::new(NoopListener)).unwrap();
    let lost = CorruptRange {
        from: Offset(4),
        to: Offset(5),
    };
    log.skip_corrupt_range(partition, lost).unwrap();
    log.close().unwrap();
    let fourth = broker(dir.path()).await;
    let mut client = Client::connect(fourth.kafka_address()).await;
    assert_eq!(committed(&mut client, "g").await, 4);
    commit(&mut client, "g", 6, -1).await;
    fourth.shutdown().await;
    let fifth = broker(dir.path()).await;
    let mut client = Client::connect(fifth.kafka_address()).await;
    assert_eq!(committed(&mut client, "g").await, 6);
}

/// Starts a broker with check intervals of 5 ms and small segments of `__consumer_offsets`.
async fn start_broker(dir: &Path) -> Broker {
    let config = BrokerConfig {
        retention_check: Duration::from_millis(5),
        groups: GroupConfig {
            offsets_segment_bytes: 2_000,
            retention_check_interval_ms: 5,
            ..GroupConfig::default()
        },
        ..BrokerConfig::new(dir.to_owned())
    };
    start(config, Arc::default()).await
}

/// Returns the size of the offsets topic.
async fn stored_bytes(client: &mut Client) -> i64 {
    let request = DescribeLogDirsRequest { topics: None };
    let response: DescribeLogDirsResponse = client.call(1, &request).await;
    let topics = response.results.iter().flat_map(|dir| &dir.topics);
    let partitions = topics
        .filter(|topic| topic.name == OFFSETS_TOPIC)
        .flat_map(|topic| &topic.partitions);
    partitions.map(|partition| partition.partition_size).sum()
}

// Conformance: broker/groups-13, broker/deviation-7
#[tokio::test]
async fn offsets_topic_is_compacted() {
    let dir = tempfile::tempdir().unwrap();
    let first = start_broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    client.create_topic("t", 1).await;
    coordinator(&mut client, "g").await;
    for offset in 1..=300 {
        commit(&mut client, "g", offset, -1).await;
    }
    // 300 commits are more than 30 KB; compaction retains one, and the active segment.
    while stored_bytes(&mut client).await > 5_000 {
        tokio::task::yield_now().await;
    }
    first.shutdown().await;
    let second = start_broker(dir.path()).await;
    let mut client = Client::connect(second.kafka_address()).await;
    assert_eq!(committed(&mut client, "g").await, 300);
}

/// Commits an offset of each of these partitions of `t`; returns the error codes.
async fn commit_partitions(client: &mut Client, group: &str, partitions: &[i32]) -> Vec<i16> {
    let partition = |index: &i32| OffsetCommitRequestPartition {
        partition_index: *index,
        committed_metadata: Some("m".repeat(4_096)),
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: group.to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: partitions.iter().map(partition).collect(),
        }],
        ..Default::default()
    };
    let response: OffsetCommitResponse = client.call(7, &request).await;
    let partitions = response.topics[0].partitions.iter();
    partitions.map(|partition| partition.error_code).collect()
}

// Conformance: broker/input-10e
#[tokio::test]
async fn offsets_above_memory_limit_are_rejected() {
    const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    const INVALID_COMMIT_OFFSET_SIZE: i16 = 28;
    let (dir, metrics) = (tempfile::tempdir().unwrap(), Registry::new());
    let config = BrokerConfig {
        groups: GroupConfig {
            // A topic and two offsets; three groups.
            group_offsets_bytes_max: 10_000,
            offsets_bytes_max: 30_000,
            ..GroupConfig::default()
        },
        ..BrokerConfig::new(dir.path().to_owned())
    };
    let broker = start_measured(config, Arc::default(), &metrics).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("t", 3).await;
    coordinator(&mut client, "g0").await;
    for number in 0..150 {
        let group = format!("g{number}");
        let code = if number < 3 {
            0
        } else {
            INVALID_COMMIT_OFFSET_SIZE
        };
        let committed = commit_partitions(&mut client, &group, &[0, 9, 1]).await;
        assert_eq!(
            committed,
            [code, UNKNOWN_TOPIC_OR_PARTITION, code],
            "{group}"
        );
    }
    let committed = commit_partitions(&mut client, "g0", &[2]).await;
    assert_eq!(committed, [INVALID_COMMIT_OFFSET_SIZE]);
    assert_eq!(commit_partitions(&mut client, "g0", &[1]).await, [0]);
    let counted = TextEncoder::new().encode_to_string(&metrics.gather());
    let held = 3 * (128 + 1 + 2 * (128 + 4_096));
    let expected = format!("\navouch_group_offsets_bytes {held}\n");
    assert!(counted.unwrap().contains(&expected), "{held}");
    broker.shutdown().await;
}

// Conformance: broker/groups-7
#[tokio::test]
async fn offset_expires_after_requested_retention() {
    let dir = tempfile::tempdir().unwrap();
    let first = start_broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    client.create_topic("t", 1).await;
    coordinator(&mut client, "g").await;
    commit(&mut client, "long", 7, 3_600_000).await;
    commit(&mut client, "short", 7, 1).await;
    while committed(&mut client, "short").await != -1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(committed(&mut client, "long").await, 7);
    first.shutdown().await;
    let second = start_broker(dir.path()).await;
    let mut client = Client::connect(second.kafka_address()).await;
    assert_eq!(committed(&mut client, "long").await, 7);
    assert_eq!(committed(&mut client, "short").await, -1);
}
