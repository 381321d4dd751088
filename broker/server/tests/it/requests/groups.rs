//! Groups over the protocol: deletion, deletion of offsets, and restarts of the broker.

use avouch_coordinator::group::GroupConfig;
use avouch_protocol::messages::delete_groups::{DeleteGroupsRequest, DeleteGroupsResponse};
use avouch_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use avouch_protocol::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use avouch_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse,
};
use avouch_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use avouch_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
    OffsetDeleteResponse,
};
use avouch_protocol::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchResponse};
use avouch_protocol::messages::sync_group::{
    SyncGroupRequest, SyncGroupRequestAssignment, SyncGroupResponse,
};

use super::client::{Client, broker, connected_broker};

/// Creates the offsets topic, which groups need.
async fn offsets_topic(client: &mut Client) {
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some("__consumer_offsets".to_owned()),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let _: MetadataResponse = client.call(12, &request).await;
}

/// Commits offset 4 of both partitions of topic `t` without joining the group.
async fn commit(client: &mut Client, group: &str) {
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: 4,
        ..Default::default()
    };
    let request = OffsetCommitRequest {
        group_id: group.to_owned(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![partition(0), partition(1)],
        }],
        ..Default::default()
    };
    let response: OffsetCommitResponse = client.call(7, &request).await;
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
}

/// Returns the partitions of a group that have a committed offset.
async fn committed(client: &mut Client, group: &str) -> Vec<i32> {
    let request = OffsetFetchRequest {
        group_id: group.to_owned(),
        topics: None,
        ..Default::default()
    };
    let response: OffsetFetchResponse = client.call(7, &request).await;
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    partitions
        .map(|partition| partition.partition_index)
        .collect()
}

/// Joins a group as its only member. The response has the member id and the generation.
async fn joined(client: &mut Client, group: &str, protocol_type: &str) -> JoinGroupResponse {
    let request = JoinGroupRequest {
        group_id: group.to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        protocol_type: protocol_type.to_owned(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".to_owned(),
            metadata: vec![0, 1].into(),
        }],
        ..Default::default()
    };
    let response: JoinGroupResponse = client.call(3, &request).await;
    assert_eq!(response.error_code, 0);
    response
}

fn offset_delete(group: &str, indexes: &[i32]) -> OffsetDeleteRequest {
    let partitions = indexes
        .iter()
        .map(|&partition_index| OffsetDeleteRequestPartition { partition_index });
    OffsetDeleteRequest {
        group_id: group.to_owned(),
        topics: vec![OffsetDeleteRequestTopic {
            name: "t".to_owned(),
            partitions: partitions.collect(),
        }],
    }
}

// Conformance: broker/admin-12, broker/groups-7
#[tokio::test]
async fn offset_delete_removes_single_offsets() {
    let dir = tempfile::tempdir().unwrap();
    let first = broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    client.create_topic("t", 2).await;
    // Requests about groups fail until the offsets topic exists.
    offsets_topic(&mut client).await;
    commit(&mut client, "g").await;
    // Partition 9 does not exist. The other one is deleted anyway.
    let response: OffsetDeleteResponse = client.call(0, &offset_delete("g", &[9, 1])).await;
    let codes: Vec<i16> = response.topics[0]
        .partitions
        .iter()
        .map(|partition| partition.error_code)
        .collect();
    assert_eq!((response.error_code, codes), (0, vec![3, 0]));
    let unknown: OffsetDeleteResponse = client.call(0, &offset_delete("unknown", &[0])).await;
    // GROUP_ID_NOT_FOUND.
    assert_eq!(unknown.error_code, 69);
    // For the protocol type `consumer` the check is per topic, for others it covers the whole
    // group.
    joined(&mut client, "busy", "connect").await;
    let busy: OffsetDeleteResponse = client.call(0, &offset_delete("busy", &[0])).await;
    assert_eq!(busy.error_code, 68, "NON_EMPTY_GROUP");
    first.shutdown().await;
    let second = broker(dir.path()).await;
    let mut client = Client::connect(second.kafka_address()).await;
    assert_eq!(committed(&mut client, "g").await, [0]);
}

// Conformance: broker/admin-12, broker/groups-7
#[tokio::test]
async fn delete_groups_rejects_groups_with_members() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 2).await;
    offsets_topic(&mut client).await;
    commit(&mut client, "old").await;
    joined(&mut client, "busy", "consumer").await;
    let request = DeleteGroupsRequest {
        // A repeated group has one result.
        groups_names: ["old", "busy", "unknown", "old"].map(str::to_owned).into(),
    };
    let response: DeleteGroupsResponse = client.call(2, &request).await;
    let codes: Vec<(&str, i16)> = response
        .results
        .iter()
        .map(|result| (result.group_id.as_str(), result.error_code))
        .collect();
    assert_eq!(codes, [("busy", 68), ("old", 0), ("unknown", 69)]);
    assert!(committed(&mut client, "old").await.is_empty());
}

// Conformance: broker/groups-6, broker/groups-9
#[tokio::test]
async fn group_generation_survives_broker_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    client.create_topic("t", 2).await;
    offsets_topic(&mut client).await;
    let member = joined(&mut client, "g", "consumer").await;
    let mut sync = SyncGroupRequest {
        group_id: "g".to_owned(),
        generation_id: member.generation_id,
        member_id: member.member_id.clone(),
        assignments: vec![SyncGroupRequestAssignment {
            member_id: member.member_id.clone(),
            assignment: vec![7].into(),
        }],
        ..Default::default()
    };
    let synced: SyncGroupResponse = client.call(3, &sync).await;
    assert_eq!(synced.error_code, 0);
    first.shutdown().await;

    let second = broker(dir.path()).await;
    let mut client = Client::connect(second.kafka_address()).await;
    let heartbeat = HeartbeatRequest {
        group_id: "g".to_owned(),
        generation_id: member.generation_id,
        member_id: member.member_id.clone(),
        ..Default::default()
    };
    let response: HeartbeatResponse = client.call(3, &heartbeat).await;
    assert_eq!(response.error_code, 0);
    // Only the leader sends assignments. The broker restored the old ones.
    sync.assignments.clear();
    let synced: SyncGroupResponse = client.call(3, &sync).await;
    assert_eq!((synced.error_code, &synced.assignment[..]), (0, &[7][..]));
    let mut commit = OffsetCommitRequest {
        group_id: "g".to_owned(),
        generation_id_or_member_epoch: member.generation_id,
        member_id: member.member_id,
        topics: vec![OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![OffsetCommitRequestPartition {
                committed_offset: 4,
                committed_metadata: Some("x".repeat(4_096)),
                ..Default::default()
            }],
        }],
        ..Default::default()
    };
    // 4,096 bytes are the limit. 12 is OFFSET_METADATA_TOO_LARGE.
    for (more, code) in [("", 0), ("x", 12)] {
        let metadata = &mut commit.topics[0].partitions[0].committed_metadata;
        metadata.as_mut().unwrap().push_str(more);
        let committed: OffsetCommitResponse = client.call(7, &commit).await;
        assert_eq!(committed.topics[0].partitions[0].error_code, code);
    }
}

// Conformance: broker/groups-1, broker/deviation-5
#[test]
fn initial_rebalance_delay_is_zero_by_default() {
    // Kafka's default is three seconds, which delays every group with a single member.
    assert_eq!(GroupConfig::default().initial_rebalance_delay_ms, 0);
}
