//! Responses at every supported version of every API. A response that cannot be encoded in its
//! version would close the connection.

use avouch_protocol::api::ApiKey;
use avouch_protocol::message::Message;
use avouch_protocol::messages::alter_configs::AlterConfigsRequest;
use avouch_protocol::messages::alter_partition_reassignments as reassignments;
use avouch_protocol::messages::alter_replica_log_dirs::AlterReplicaLogDirsRequest;
use avouch_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use avouch_protocol::messages::create_acls::CreateAclsRequest;
use avouch_protocol::messages::create_partitions::CreatePartitionsRequest;
use avouch_protocol::messages::create_topics::CreateTopicsRequest;
use avouch_protocol::messages::delete_acls::DeleteAclsRequest;
use avouch_protocol::messages::delete_groups::DeleteGroupsRequest;
use avouch_protocol::messages::delete_records::DeleteRecordsRequest;
use avouch_protocol::messages::delete_topics::DeleteTopicsRequest;
use avouch_protocol::messages::describe_acls::DescribeAclsRequest;
use avouch_protocol::messages::describe_client_quotas::DescribeClientQuotasRequest;
use avouch_protocol::messages::describe_cluster::DescribeClusterRequest;
use avouch_protocol::messages::describe_configs::DescribeConfigsRequest;
use avouch_protocol::messages::describe_groups::{DescribeGroupsRequest, DescribeGroupsResponse};
use avouch_protocol::messages::describe_log_dirs::DescribeLogDirsRequest;
use avouch_protocol::messages::describe_producers::DescribeProducersRequest;
use avouch_protocol::messages::describe_quorum::DescribeQuorumRequest;
use avouch_protocol::messages::describe_topic_partitions::DescribeTopicPartitionsRequest;
use avouch_protocol::messages::describe_user_scram_credentials as scram;
use avouch_protocol::messages::elect_leaders::ElectLeadersRequest;
use avouch_protocol::messages::fetch::{FetchPartition, FetchRequest, FetchResponse, FetchTopic};
use avouch_protocol::messages::find_coordinator::FindCoordinatorRequest;
use avouch_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};
use avouch_protocol::messages::incremental_alter_configs::IncrementalAlterConfigsRequest;
use avouch_protocol::messages::init_producer_id::InitProducerIdRequest;
use avouch_protocol::messages::join_group::{
    JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse,
};
use avouch_protocol::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity,
};
use avouch_protocol::messages::list_config_resources::ListConfigResourcesRequest;
use avouch_protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse};
use avouch_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsResponse, ListOffsetsTopic,
};
use avouch_protocol::messages::list_partition_reassignments::ListPartitionReassignmentsRequest;
use avouch_protocol::messages::list_transactions::ListTransactionsRequest;
use avouch_protocol::messages::metadata::{MetadataRequest, MetadataResponse};
use avouch_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    OffsetCommitResponse,
};
use avouch_protocol::messages::offset_delete::OffsetDeleteRequest;
use avouch_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchResponse,
};
use avouch_protocol::messages::offset_for_leader_epoch::OffsetForLeaderEpochRequest;
use avouch_protocol::messages::produce::{ProduceRequest, ProduceResponse};
use avouch_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use avouch_protocol::messages::update_features::UpdateFeaturesRequest;

use super::client::{Client, batch_of, connected_broker, produce_request};

/// Sends full and minimal examples of a request in each of its versions, and checks the response.
async fn check_each_version<Request: Message>(client: &mut Client) {
    for version in Request::VERSIONS {
        for bare in [false, true] {
            let request = <Request as Message>::example(version, bare).unwrap();
            let correlation = client.send(version, &request).await;
            let frame = client.receive_raw().await;
            let frame = frame.unwrap_or_else(|| panic!("{:?} {version} closed", Request::API));
            assert_eq!(frame[..4], correlation.to_be_bytes());
        }
    }
}

macro_rules! checked {
    ($client:expr, $($request:ty),* $(,)?) => {{
        $(check_each_version::<$request>($client).await;)*
        vec![$(<$request as Message>::API),*]
    }};
}

// Conformance: broker/admin-1, main-job/6b
#[tokio::test]
async fn all_request_versions_get_responses() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let checked = checked!(
        &mut client,
        ProduceRequest,
        FetchRequest,
        ListOffsetsRequest,
        MetadataRequest,
        OffsetCommitRequest,
        OffsetFetchRequest,
        FindCoordinatorRequest,
        JoinGroupRequest,
        HeartbeatRequest,
        LeaveGroupRequest,
        SyncGroupRequest,
        DescribeGroupsRequest,
        ListGroupsRequest,
        ApiVersionsRequest,
        CreateTopicsRequest,
        DeleteTopicsRequest,
        DeleteRecordsRequest,
        InitProducerIdRequest,
        OffsetForLeaderEpochRequest,
        DescribeAclsRequest,
        CreateAclsRequest,
        DeleteAclsRequest,
        DescribeConfigsRequest,
        AlterConfigsRequest,
        AlterReplicaLogDirsRequest,
        DescribeLogDirsRequest,
        CreatePartitionsRequest,
        DeleteGroupsRequest,
        ElectLeadersRequest,
        IncrementalAlterConfigsRequest,
        reassignments::AlterPartitionReassignmentsRequest,
        ListPartitionReassignmentsRequest,
        OffsetDeleteRequest,
        DescribeClientQuotasRequest,
        scram::DescribeUserScramCredentialsRequest,
        DescribeQuorumRequest,
        UpdateFeaturesRequest,
        DescribeClusterRequest,
        DescribeProducersRequest,
        ListTransactionsRequest,
        ListConfigResourcesRequest,
        DescribeTopicPartitionsRequest,
    );
    let versions: ApiVersionsResponse = client.call(0, &ApiVersionsRequest::default()).await;
    let served: Vec<i16> = versions.api_keys.iter().map(|key| key.api_key).collect();
    assert_eq!(
        served,
        checked.into_iter().map(ApiKey::code).collect::<Vec<_>>()
    );
}

// Conformance: main-job/6b
#[tokio::test]
async fn produce_and_fetch_work_at_every_version() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let metadata = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let metadata: MetadataResponse = client.call(12, &metadata).await;
    let mut expected = 0;
    for version in ProduceRequest::VERSIONS {
        let mut request = produce_request("t", 0, -1, batch_of(&[b"v"]));
        request.topic_data[0].topic_id = metadata.topics[0].topic_id;
        let response: ProduceResponse = client.call(version, &request).await;
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(
            (partition.error_code, partition.base_offset),
            (0, expected),
            "{version}"
        );
        expected += 1;
    }
    for version in FetchRequest::VERSIONS {
        let partition = FetchPartition {
            partition_max_bytes: 1_000_000,
            ..Default::default()
        };
        let request = FetchRequest {
            max_bytes: 1_000_000,
            topics: vec![FetchTopic {
                topic: "t".to_owned(),
                topic_id: metadata.topics[0].topic_id,
                partitions: vec![partition],
            }],
            ..Default::default()
        };
        let response: FetchResponse = client.call(version, &request).await;
        let partition = &response.responses[0].partitions[0];
        assert_eq!(
            (partition.error_code, partition.high_watermark),
            (0, expected),
            "{version}"
        );
        assert!(!partition.records.is_empty(), "{version}");
    }
    for version in ListOffsetsRequest::VERSIONS {
        let request = ListOffsetsRequest {
            topics: vec![ListOffsetsTopic {
                name: "t".to_owned(),
                partitions: vec![ListOffsetsPartition {
                    timestamp: -1,
                    ..Default::default()
                }],
            }],
            ..Default::default()
        };
        let response: ListOffsetsResponse = client.call(version, &request).await;
        assert_eq!(
            response.topics[0].partitions[0].offset, expected,
            "{version}"
        );
    }
}

/// Returns the version of an API that is nearest to `version`.
fn at_most<Request: Message>(version: i16) -> i16 {
    version.clamp(*Request::VERSIONS.start(), *Request::VERSIONS.end())
}

async fn joined(client: &mut Client, version: i16, group: &str) -> JoinGroupResponse {
    let mut request = JoinGroupRequest {
        group_id: group.to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: if version >= 1 { 10_000 } else { -1 },
        protocol_type: "consumer".to_owned(),
        protocols: vec![JoinGroupRequestProtocol {
            name: "range".to_owned(),
            metadata: vec![0, 1].into(),
        }],
        ..Default::default()
    };
    let mut response: JoinGroupResponse = client.call(version, &request).await;
    if response.error_code == 79 {
        request.member_id = response.member_id;
        response = client.call(version, &request).await;
    }
    assert_eq!(response.error_code, 0, "join {version}");
    response
}

// Conformance: broker/groups-8, main-job/6b
#[tokio::test]
async fn group_lifecycle_works_at_every_version() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let coordinator = FindCoordinatorRequest {
        key: "g".to_owned(),
        ..Default::default()
    };
    let _: avouch_protocol::messages::find_coordinator::FindCoordinatorResponse =
        client.call(1, &coordinator).await;
    for version in 0..=9 {
        let group = format!("g{version}");
        let member = joined(&mut client, version, &group).await;
        synced(&mut client, version, &group, &member).await;
        offsets_round_trip(&mut client, version, &group, &member).await;
        described(&mut client, version, &group).await;
        left(&mut client, version, &group, &member).await;
    }
}

async fn synced(client: &mut Client, version: i16, group: &str, member: &JoinGroupResponse) {
    let at = at_most::<SyncGroupRequest>(version);
    let request = SyncGroupRequest {
        group_id: group.to_owned(),
        generation_id: member.generation_id,
        member_id: member.member_id.clone(),
        assignments: vec![
            avouch_protocol::messages::sync_group::SyncGroupRequestAssignment {
                member_id: member.member_id.clone(),
                assignment: vec![7].into(),
            },
        ],
        ..Default::default()
    };
    let response: SyncGroupResponse = client.call(at, &request).await;
    assert_eq!(
        (response.error_code, &response.assignment[..]),
        (0, &[7][..]),
        "sync {at}"
    );
    let at = at_most::<HeartbeatRequest>(version);
    let request = HeartbeatRequest {
        group_id: group.to_owned(),
        generation_id: member.generation_id,
        member_id: member.member_id.clone(),
        ..Default::default()
    };
    let response: HeartbeatResponse = client.call(at, &request).await;
    assert_eq!(response.error_code, 0, "heartbeat {at}");
}

async fn offsets_round_trip(
    client: &mut Client,
    version: i16,
    group: &str,
    member: &JoinGroupResponse,
) {
    let at = at_most::<OffsetCommitRequest>(version);
    let partition = OffsetCommitRequestPartition {
        committed_offset: 4,
        committed_metadata: Some("note".to_owned()),
        ..Default::default()
    };
    let missing = OffsetCommitRequestPartition {
        partition_index: 9,
        ..partition.clone()
    };
    let request = OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: member.generation_id,
        member_id: member.member_id.clone(),
        topics: vec![OffsetCommitRequestTopic {
            name: "t".to_owned(),
            partitions: vec![missing, partition],
        }],
        ..Default::default()
    };
    let response: OffsetCommitResponse = client.call(at, &request).await;
    let codes: Vec<i16> = response.topics[0]
        .partitions
        .iter()
        .map(|partition| partition.error_code)
        .collect();
    assert_eq!(codes, [3, 0], "commit {at}");

    let at = at_most::<OffsetFetchRequest>(version);
    let request = if at >= 8 {
        let group = OffsetFetchRequestGroup {
            group_id: group.to_owned(),
            topics: None,
            ..Default::default()
        };
        OffsetFetchRequest {
            groups: vec![group],
            ..Default::default()
        }
    } else {
        let topics = (at < 2).then(|| {
            vec![
                avouch_protocol::messages::offset_fetch::OffsetFetchRequestTopic {
                    name: "t".to_owned(),
                    partition_indexes: vec![0],
                },
            ]
        });
        OffsetFetchRequest {
            group_id: group.to_owned(),
            topics,
            ..Default::default()
        }
    };
    let response: OffsetFetchResponse = client.call(at, &request).await;
    let (offset, note) = if at >= 8 {
        let partition = &response.groups[0].topics[0].partitions[0];
        (partition.committed_offset, partition.metadata.clone())
    } else {
        let partition = &response.topics[0].partitions[0];
        (partition.committed_offset, partition.metadata.clone())
    };
    assert_eq!(
        (offset, note.as_deref()),
        (4, Some("note")),
        "offset fetch {at}"
    );
}

async fn described(client: &mut Client, version: i16, group: &str) {
    let at = at_most::<DescribeGroupsRequest>(version);
    let request = DescribeGroupsRequest {
        groups: vec![group.to_owned(), "unknown".to_owned()],
        ..Default::default()
    };
    let response: DescribeGroupsResponse = client.call(at, &request).await;
    assert_eq!(response.groups[0].group_state, "Stable", "describe {at}");
    assert_eq!(response.groups[0].members.len(), 1, "describe {at}");
    assert_eq!(response.groups[1].group_state, "Dead", "describe {at}");
    let expected = if at >= 6 { 69 } else { 0 };
    assert_eq!(response.groups[1].error_code, expected, "describe {at}");
    let at = at_most::<ListGroupsRequest>(version);
    let response: ListGroupsResponse = client.call(at, &ListGroupsRequest::default()).await;
    assert!(
        response
            .groups
            .iter()
            .any(|listed| listed.group_id == group),
        "list {at}"
    );
}

async fn left(client: &mut Client, version: i16, group: &str, member: &JoinGroupResponse) {
    let at = at_most::<LeaveGroupRequest>(version);
    let mut request = LeaveGroupRequest {
        group_id: group.to_owned(),
        ..Default::default()
    };
    if at >= 3 {
        request.members = vec![MemberIdentity {
            member_id: member.member_id.clone(),
            ..Default::default()
        }];
    } else {
        request.member_id = member.member_id.clone();
    }
    let response: LeaveGroupResponse = client.call(at, &request).await;
    assert_eq!(response.error_code, 0, "leave {at}");
}
