//! Tests of the wire protocol against the reference implementation `kafka-protocol`, and with
//! hostile input.

#![cfg(test)]

mod compression;
mod hostile;
mod messages;
mod records;
mod seeds;

use avouch_protocol::message::Message;
use kafka_protocol::protocol::{Decodable, Encodable};

/// An operation on each supported message and its type in the reference implementation.
trait Visit {
    fn message<Local, Reference>(&mut self)
    where
        Local: Message + Clone + std::fmt::Debug + PartialEq,
        Reference: Encodable + Decodable + std::fmt::Debug + kafka_protocol::protocol::Message;
}

/// Returns the versions of a message that the reference implementation has too. It is generated
/// from Kafka 4.1 and lacks ApiVersions 5.
fn common_versions<Local, Reference>() -> std::ops::RangeInclusive<i16>
where
    Local: Message,
    Reference: kafka_protocol::protocol::Message,
{
    *Local::VERSIONS.start()..=(*Local::VERSIONS.end()).min(Reference::VERSIONS.max)
}

macro_rules! messages {
    ($($module:ident: $request:ident, $response:ident;)*) => {
        fn visit_all(visit: &mut impl Visit) {
            $(
                visit.message::<
                    avouch_protocol::messages::$module::$request,
                    kafka_protocol::messages::$request,
                >();
                visit.message::<
                    avouch_protocol::messages::$module::$response,
                    kafka_protocol::messages::$response,
                >();
            )*
        }
    };
}

messages! {
    produce: ProduceRequest, ProduceResponse;
    fetch: FetchRequest, FetchResponse;
    list_offsets: ListOffsetsRequest, ListOffsetsResponse;
    metadata: MetadataRequest, MetadataResponse;
    offset_commit: OffsetCommitRequest, OffsetCommitResponse;
    offset_fetch: OffsetFetchRequest, OffsetFetchResponse;
    find_coordinator: FindCoordinatorRequest, FindCoordinatorResponse;
    join_group: JoinGroupRequest, JoinGroupResponse;
    heartbeat: HeartbeatRequest, HeartbeatResponse;
    leave_group: LeaveGroupRequest, LeaveGroupResponse;
    sync_group: SyncGroupRequest, SyncGroupResponse;
    describe_groups: DescribeGroupsRequest, DescribeGroupsResponse;
    list_groups: ListGroupsRequest, ListGroupsResponse;
    api_versions: ApiVersionsRequest, ApiVersionsResponse;
    create_topics: CreateTopicsRequest, CreateTopicsResponse;
    delete_topics: DeleteTopicsRequest, DeleteTopicsResponse;
    delete_records: DeleteRecordsRequest, DeleteRecordsResponse;
    init_producer_id: InitProducerIdRequest, InitProducerIdResponse;
    offset_for_leader_epoch: OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse;
    describe_acls: DescribeAclsRequest, DescribeAclsResponse;
    create_acls: CreateAclsRequest, CreateAclsResponse;
    delete_acls: DeleteAclsRequest, DeleteAclsResponse;
    describe_configs: DescribeConfigsRequest, DescribeConfigsResponse;
    alter_configs: AlterConfigsRequest, AlterConfigsResponse;
    describe_log_dirs: DescribeLogDirsRequest, DescribeLogDirsResponse;
    create_partitions: CreatePartitionsRequest, CreatePartitionsResponse;
    delete_groups: DeleteGroupsRequest, DeleteGroupsResponse;
    incremental_alter_configs: IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse;
    elect_leaders: ElectLeadersRequest, ElectLeadersResponse;
    alter_partition_reassignments: AlterPartitionReassignmentsRequest,
        AlterPartitionReassignmentsResponse;
    list_partition_reassignments: ListPartitionReassignmentsRequest,
        ListPartitionReassignmentsResponse;
    offset_delete: OffsetDeleteRequest, OffsetDeleteResponse;
    describe_cluster: DescribeClusterRequest, DescribeClusterResponse;
    describe_topic_partitions: DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse;
    alter_replica_log_dirs: AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse;
    describe_client_quotas: DescribeClientQuotasRequest, DescribeClientQuotasResponse;
    describe_user_scram_credentials: DescribeUserScramCredentialsRequest,
        DescribeUserScramCredentialsResponse;
    describe_quorum: DescribeQuorumRequest, DescribeQuorumResponse;
    update_features: UpdateFeaturesRequest, UpdateFeaturesResponse;
    describe_producers: DescribeProducersRequest, DescribeProducersResponse;
    list_transactions: ListTransactionsRequest, ListTransactionsResponse;
    list_config_resources: ListConfigResourcesRequest, ListConfigResourcesResponse;
}
