//! Invariants of request frames. The bytes are a frame without its length: header, then body.

use avouch_protocol::api::ApiKey;
use avouch_protocol::chunk::joined;
use avouch_protocol::frame;
use avouch_protocol::header::RequestHeader;
use avouch_protocol::message::Message;
use avouch_protocol::messages::*;
use avouch_protocol::reader::Reader;
use bytes::Bytes;

/// Checks that a frame is rejected, or that its request round-trips through the encoder.
///
/// # Panics
/// Panics if the encoded request decodes to another one.
pub fn check_request(bytes: &[u8]) {
    let mut reader = Reader::new(Bytes::copy_from_slice(bytes));
    let Ok(header) = RequestHeader::decode(&mut reader) else {
        return;
    };
    let Ok(api) = ApiKey::try_from(header.api_key) else {
        return;
    };
    if api.versions().contains(&header.api_version) {
        body(api, &header, &mut reader);
    }
}

macro_rules! bodies {
    ($($api:ident: $message:ty;)*) => {
        fn body(api: ApiKey, header: &RequestHeader, reader: &mut Reader) {
            match api {
                $(ApiKey::$api => check_round_trip::<$message>(header, reader),)*
            }
        }
    };
}

bodies! {
    Produce: produce::ProduceRequest;
    Fetch: fetch::FetchRequest;
    ListOffsets: list_offsets::ListOffsetsRequest;
    Metadata: metadata::MetadataRequest;
    OffsetCommit: offset_commit::OffsetCommitRequest;
    OffsetFetch: offset_fetch::OffsetFetchRequest;
    FindCoordinator: find_coordinator::FindCoordinatorRequest;
    JoinGroup: join_group::JoinGroupRequest;
    Heartbeat: heartbeat::HeartbeatRequest;
    LeaveGroup: leave_group::LeaveGroupRequest;
    SyncGroup: sync_group::SyncGroupRequest;
    DescribeGroups: describe_groups::DescribeGroupsRequest;
    ListGroups: list_groups::ListGroupsRequest;
    ApiVersions: api_versions::ApiVersionsRequest;
    CreateTopics: create_topics::CreateTopicsRequest;
    DeleteTopics: delete_topics::DeleteTopicsRequest;
    DeleteRecords: delete_records::DeleteRecordsRequest;
    InitProducerId: init_producer_id::InitProducerIdRequest;
    OffsetForLeaderEpoch: offset_for_leader_epoch::OffsetForLeaderEpochRequest;
    DescribeAcls: describe_acls::DescribeAclsRequest;
    CreateAcls: create_acls::CreateAclsRequest;
    DeleteAcls: delete_acls::DeleteAclsRequest;
    DescribeConfigs: describe_configs::DescribeConfigsRequest;
    AlterConfigs: alter_configs::AlterConfigsRequest;
    DescribeLogDirs: describe_log_dirs::DescribeLogDirsRequest;
    CreatePartitions: create_partitions::CreatePartitionsRequest;
    DeleteGroups: delete_groups::DeleteGroupsRequest;
    IncrementalAlterConfigs: incremental_alter_configs::IncrementalAlterConfigsRequest;
    ElectLeaders: elect_leaders::ElectLeadersRequest;
    AlterPartitionReassignments:
        alter_partition_reassignments::AlterPartitionReassignmentsRequest;
    ListPartitionReassignments: list_partition_reassignments::ListPartitionReassignmentsRequest;
    OffsetDelete: offset_delete::OffsetDeleteRequest;
    AlterReplicaLogDirs: alter_replica_log_dirs::AlterReplicaLogDirsRequest;
    DescribeClientQuotas: describe_client_quotas::DescribeClientQuotasRequest;
    DescribeUserScramCredentials:
        describe_user_scram_credentials::DescribeUserScramCredentialsRequest;
    DescribeQuorum: describe_quorum::DescribeQuorumRequest;
    UpdateFeatures: update_features::UpdateFeaturesRequest;
    DescribeProducers: describe_producers::DescribeProducersRequest;
    ListTransactions: list_transactions::ListTransactionsRequest;
    ListConfigResources: list_config_resources::ListConfigResourcesRequest;
    DescribeCluster: describe_cluster::DescribeClusterRequest;
    DescribeTopicPartitions: describe_topic_partitions::DescribeTopicPartitionsRequest;
}

fn check_round_trip<M: Message + PartialEq + std::fmt::Debug>(
    header: &RequestHeader,
    reader: &mut Reader,
) {
    let version = header.api_version;
    let Ok(message) = M::decode(reader, version) else {
        return;
    };
    if reader.finish().is_err() {
        return;
    }
    let encoded = frame::request(header, &message).expect("a decoded request can be encoded");
    let encoded = joined(&encoded).expect("a request has no file ranges");
    // The first four bytes are the frame length.
    let mut again = Reader::new(encoded.slice(4..));
    let again_header = RequestHeader::decode(&mut again).expect("the header was encoded");
    assert_eq!(again_header.correlation_id, header.correlation_id);
    let again_message = M::decode(&mut again, version).expect("the message was encoded");
    again.finish().expect("no bytes after the message");
    assert_eq!(again_message, message);
}
