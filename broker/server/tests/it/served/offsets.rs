//! Committed offsets over the wire: read back past damage, kept short, forgotten when their client
//! said so.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use avouch_broker::{Broker, BrokerConfig};
use avouch_coordinator::group::{GroupConfig, partition_of};
use avouch_log::{Damage, Listener, Log, LogConfig, RealDisk};
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

use super::client::{Client, broker, broker_measured, start};

const OFFSETS_TOPIC: &str = "__consumer_offsets";

struct Silent;

impl Listener for Silent {
    fn advanced(&self, _partitions: &[TopicPartition]) {}
    fn poisoned(&self, _reason: &str) {}
    fn low_space(&self, _is_low: bool) {}
    fn damaged(&self, _tp: TopicPartition, _damage: Damage) {}
}

/// Finds a group's coordinator, which makes the topic of committed offsets.
async fn coordinator(client: &mut Client, group: &str) {
    let request = FindCoordinatorRequest {
        key: group.to_owned(),
        ..Default::default()
    };
    let found: FindCoordinatorResponse = client.ask(1, &request).await;
    assert_eq!(found.error_code, 0);
}

/// Commits an offset of `t-0` without being a member, to be kept for `retention_ms` or, with -1, as
/// long as the broker keeps them.
async fn commit(client: &mut Client, group: &str, offset: i64, retention_ms: i64) {
    let request = OffsetCommitRequest {
        group_id: group.to_owned(),
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
    let response: OffsetCommitResponse = client.ask(4, &request).await;
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
}

/// What a group committed for `t-0`; -1 for nothing.
async fn committed(client: &mut Client, group: &str) -> i64 {
    let request = OffsetFetchRequest {
        group_id: group.to_owned(),
        topics: Some(vec![OffsetFetchRequestTopic {
            name: "t".to_owned(),
            partition_indexes: vec![0],
        }]),
        ..Default::default()
    };
    let response: OffsetFetchResponse = client.ask(5, &request).await;
    let partition = &response.topics[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    partition.committed_offset
}

/// The partition of `__consumer_offsets` that holds a group's records.
async fn home(client: &mut Client, group: &str) -> TopicPartition {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some(OFFSETS_TOPIC.to_owned()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let metadata: MetadataResponse = client.ask(12, &request).await;
    let index = partition_of(&group.into(), 50).0;
    let id = metadata.topics[0].topic_id;
    format!("{id}-{index}").parse().unwrap()
}

fn segment(dir: &Path, partition: TopicPartition) -> PathBuf {
    let folder = dir.join("log/data").join(partition.to_string());
    folder.join("00000000000000000000.log")
}

/// Flips the last byte of the batch at this place; a negative one counts from the end.
fn damage(segment: &Path, place: isize) {
    let mut bytes = std::fs::read(segment).unwrap();
    let mut ends = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        at += BatchHeader::parse(&bytes[at..]).unwrap().size_bytes;
        ends.push(at);
    }
    let count = isize::try_from(ends.len()).unwrap();
    let index = usize::try_from(place.rem_euclid(count)).unwrap();
    bytes[ends[index] - 1] ^= 1;
    std::fs::write(segment, bytes).unwrap();
}

// Conformance: broker/groups-12
#[tokio::test]
async fn damaged_records_of_groups_keep_no_broker_from_starting_and_the_rest_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let first = broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    client.create_topic("t", 1).await;
    coordinator(&mut client, "g").await;
    for offset in 1..=5 {
        commit(&mut client, "g", offset, -1).await;
    }
    let partition = home(&mut client, "g").await;
    first.shutdown().await;

    // In the middle: what comes later is found.
    damage(&segment(dir.path(), partition), 1);
    let metrics = Registry::new();
    let second = broker_measured(dir.path(), &metrics).await;
    let mut client = Client::connect(second.kafka_address()).await;
    assert_eq!(committed(&mut client, "g").await, 5);
    let counted = TextEncoder::new().encode_to_string(&metrics.gather());
    let counted = counted.unwrap();
    assert!(counted.contains("\navouch_log_damaged_ranges_total 1\n"));
    second.shutdown().await;

    // At the end: the group goes on from its commit before.
    damage(&segment(dir.path(), partition), -1);
    let third = broker(dir.path()).await;
    let mut client = Client::connect(third.kafka_address()).await;
    assert_eq!(committed(&mut client, "g").await, 4);
    third.shutdown().await;

    // Given up by an operator: nothing is left to be read behind the fourth.
    let config = LogConfig::new(dir.path().join("log"));
    let (log, _) = Log::open(config, Arc::new(RealDisk), Arc::new(Silent)).unwrap();
    let lost = Damage {
        from: Offset(4),
        to: Offset(5),
    };
    log.skip_damage(partition, lost).unwrap();
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

/// Looks after its data all the time, and closes segments of `__consumer_offsets` soon.
async fn busy_broker(dir: &Path) -> Broker {
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

/// Bytes of all records of groups.
async fn stored_bytes(client: &mut Client) -> i64 {
    let request = DescribeLogDirsRequest { topics: None };
    let response: DescribeLogDirsResponse = client.ask(1, &request).await;
    let topics = response.results.iter().flat_map(|dir| &dir.topics);
    let ours = topics.filter(|topic| topic.name == OFFSETS_TOPIC);
    ours.flat_map(|topic| &topic.partitions)
        .map(|partition| partition.partition_size)
        .sum()
}

// Conformance: broker/groups-13, broker/deviation-7
#[tokio::test]
async fn records_of_groups_are_compacted_to_what_is_live_and_a_segment() {
    let dir = tempfile::tempdir().unwrap();
    let first = busy_broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    client.create_topic("t", 1).await;
    coordinator(&mut client, "g").await;
    for offset in 1..=300 {
        commit(&mut client, "g", offset, -1).await;
    }
    // Three hundred commits are 30 KB and more; live is one, and a segment is never compacted.
    while stored_bytes(&mut client).await > 5_000 {
        tokio::task::yield_now().await;
    }
    first.shutdown().await;
    let second = busy_broker(dir.path()).await;
    let mut client = Client::connect(second.kafka_address()).await;
    assert_eq!(committed(&mut client, "g").await, 300);
}

// Conformance: broker/groups-7
#[tokio::test]
async fn an_offset_whose_client_asked_for_a_retention_goes_when_that_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let first = busy_broker(dir.path()).await;
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
    let second = busy_broker(dir.path()).await;
    let mut client = Client::connect(second.kafka_address()).await;
    assert_eq!(committed(&mut client, "long").await, 7);
    assert_eq!(committed(&mut client, "short").await, -1);
}
