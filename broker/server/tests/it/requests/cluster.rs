//! Cluster administration requests: brokers, features, ACLs, reassignments, leader elections.

use avouch_protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignableTopic,
};
use avouch_protocol::messages::api_versions::{ApiVersionsRequest, ApiVersionsResponse};
use avouch_protocol::messages::create_acls::{AclCreation, CreateAclsRequest, CreateAclsResponse};
use avouch_protocol::messages::delete_acls::{
    DeleteAclsFilter, DeleteAclsRequest, DeleteAclsResponse,
};
use avouch_protocol::messages::describe_acls::{DescribeAclsRequest, DescribeAclsResponse};
use avouch_protocol::messages::describe_cluster::{
    DescribeClusterRequest, DescribeClusterResponse,
};
use avouch_protocol::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, TopicPartitions,
};
use avouch_protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};
use avouch_protocol::messages::metadata::{MetadataRequest, MetadataResponse};

use super::client::connected_broker;

// Conformance: broker/admin-15
#[tokio::test]
async fn describe_cluster_lists_brokers() {
    let (_dir, broker, mut client) = connected_broker().await;
    for (endpoint_type, code, brokers) in [(1, 0, 1), (2, 114, 0), (3, 115, 0)] {
        let request = DescribeClusterRequest {
            include_cluster_authorized_operations: true,
            endpoint_type,
            ..Default::default()
        };
        let response: DescribeClusterResponse = client.call(2, &request).await;
        assert_eq!(
            (response.error_code, response.brokers.len()),
            (code, brokers)
        );
        if code == 0 {
            assert_eq!(response.cluster_id, broker.cluster_id());
            assert!(response.cluster_authorized_operations > 0);
        }
    }
}

// Conformance: broker/fetch-15
#[tokio::test]
async fn api_versions_checks_expected_broker() {
    let (_dir, broker, mut client) = connected_broker().await;
    for (cluster_id, node_id, code) in [
        (None, -1, 0),
        (Some(broker.cluster_id()), 1, 0),
        (Some(broker.cluster_id()), 2, 129),
        (Some("another"), 1, 129),
        (Some(broker.cluster_id()), -1, 42),
    ] {
        let request = ApiVersionsRequest {
            client_software_name: "client".to_owned(),
            client_software_version: "1".to_owned(),
            cluster_id: cluster_id.map(str::to_owned),
            node_id,
        };
        let response: ApiVersionsResponse = client.call(5, &request).await;
        assert_eq!(response.error_code, code, "{cluster_id:?} {node_id}");
    }
}

// Conformance: broker/admin-15
#[tokio::test]
async fn authorized_operations_include_everything() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let mut request = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    let without: MetadataResponse = client.call(8, &request).await;
    assert_eq!(without.topics[0].topic_authorized_operations, i32::MIN);
    request.include_topic_authorized_operations = true;
    request.include_cluster_authorized_operations = true;
    let with: MetadataResponse = client.call(8, &request).await;
    // Bits of Kafka's operations: READ is 3, WRITE 4, CREATE 5.
    assert_eq!(
        with.topics[0].topic_authorized_operations & 0b11_1000,
        0b11_1000
    );
    assert_eq!(with.cluster_authorized_operations & 0b10_0000, 0b10_0000);
}

// Conformance: broker/admin-16
#[tokio::test]
async fn features_match_kafka_4_0_without_transactions() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let request = ApiVersionsRequest {
        client_software_name: "test".to_owned(),
        client_software_version: "1".to_owned(),
        ..Default::default()
    };
    for (version, supported) in [(3, 1), (4, 3)] {
        let response: ApiVersionsResponse = client.call(version, &request).await;
        assert_eq!(
            response.supported_features.len(),
            supported,
            "version {version}"
        );
        let finalized = &response.finalized_features;
        assert_eq!(finalized.len(), 1);
        assert_eq!(
            (finalized[0].name.as_str(), finalized[0].max_version_level),
            ("metadata.version", 25)
        );
        assert_eq!(response.finalized_features_epoch, 0);
    }
}

// Conformance: broker/admin-17, broker/rejection-5
#[tokio::test]
async fn acl_requests_return_security_disabled() {
    let (_dir, _broker, mut client) = connected_broker().await;
    for version in 1..=3 {
        let described: DescribeAclsResponse =
            client.call(version, &DescribeAclsRequest::default()).await;
        assert_eq!(described.error_code, 54);
        let creations = vec![AclCreation::default(), AclCreation::default()];
        let created: CreateAclsResponse =
            client.call(version, &CreateAclsRequest { creations }).await;
        assert!(created.results.len() == 2 && created.results.iter().all(|r| r.error_code == 54));
        let filters = vec![DeleteAclsFilter::default()];
        let deleted: DeleteAclsResponse =
            client.call(version, &DeleteAclsRequest { filters }).await;
        assert_eq!(deleted.filter_results[0].error_code, 54);
    }
}

// Conformance: broker/admin-18
#[tokio::test]
async fn reassignment_and_election_do_nothing() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 2).await;
    let listed: ListPartitionReassignmentsResponse = client
        .call(0, &ListPartitionReassignmentsRequest::default())
        .await;
    assert_eq!((listed.error_code, listed.topics.len()), (0, 0));
    // Partition, new replicas, error code.
    let reassignments = [
        (0, Some(vec![1]), 0),
        (1, Some(vec![2]), 39),
        (0, None, 85),
        (7, None, 3),
    ];
    for (partition_index, replicas, code) in reassignments {
        let request = AlterPartitionReassignmentsRequest {
            topics: vec![ReassignableTopic {
                name: "t".to_owned(),
                partitions: vec![ReassignablePartition {
                    partition_index,
                    replicas,
                }],
            }],
            ..Default::default()
        };
        let response: AlterPartitionReassignmentsResponse = client.call(0, &request).await;
        assert_eq!(response.responses[0].partitions[0].error_code, code);
    }
    let request = ElectLeadersRequest {
        topic_partitions: Some(vec![TopicPartitions {
            topic: "t".to_owned(),
            partitions: vec![0, 9],
        }]),
        ..Default::default()
    };
    let response: ElectLeadersResponse = client.call(2, &request).await;
    let results = &response.replica_election_results[0].partition_result;
    assert_eq!((results[0].error_code, results[1].error_code), (84, 3));
}
