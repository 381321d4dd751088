//! Requests about features that the broker does not have: they return empty lists or final errors.

use avouch_protocol::messages::alter_replica_log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};
use avouch_protocol::messages::describe_client_quotas::{
    DescribeClientQuotasRequest, DescribeClientQuotasResponse,
};
use avouch_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
};
use avouch_protocol::messages::describe_producers::{
    DescribeProducersRequest, DescribeProducersResponse, TopicRequest,
};
use avouch_protocol::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, RequestedPartition, RequestedTopic,
};
use avouch_protocol::messages::describe_user_scram_credentials::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse, UserName,
};
use avouch_protocol::messages::find_coordinator::{
    FindCoordinatorRequest, FindCoordinatorResponse,
};
use avouch_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use avouch_protocol::messages::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};
use avouch_protocol::messages::list_config_resources::{
    ListConfigResourcesRequest, ListConfigResourcesResponse,
};
use avouch_protocol::messages::list_transactions::{
    ListTransactionsRequest, ListTransactionsResponse,
};
use avouch_protocol::messages::produce::ProduceResponse;
use avouch_protocol::messages::update_features::{
    FeatureUpdateKey, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

use super::client::{batch_of, connected_broker, only, produce_request, sequenced};

// Conformance: broker/admin-23, broker/rejection-1, broker/rejection-2, broker/rejection-3
#[tokio::test]
async fn transactional_requests_get_final_error() {
    let (_dir, _broker, mut client) = connected_broker().await;
    // Key type 1 requests the coordinator of a transaction, 2 that of a share group.
    for (key_type, code) in [(1, 53), (2, 42)] {
        for version in 1..=6 {
            let request = FindCoordinatorRequest {
                key: if version < 4 { "id" } else { "" }.to_owned(),
                key_type,
                coordinator_keys: (version >= 4)
                    .then(|| "id".to_owned())
                    .into_iter()
                    .collect(),
            };
            let found: FindCoordinatorResponse = client.call(version, &request).await;
            let (error, message) = match found.coordinators.first() {
                Some(found) => (found.error_code, found.error_message.clone()),
                None => (found.error_code, found.error_message),
            };
            assert_eq!(error, code, "{key_type} {version}");
            assert!(
                message.unwrap().contains("not supported"),
                "{key_type} {version}"
            );
        }
    }
    let request = InitProducerIdRequest {
        transactional_id: Some("id".to_owned()),
        ..Default::default()
    };
    let response: InitProducerIdResponse = client.call(4, &request).await;
    assert_eq!(response.error_code, 53);

    client.create_topic("t", 1).await;
    let mut request = produce_request("t", 0, -1, batch_of(&[b"v"]));
    request.transactional_id = Some("id".to_owned());
    let produced: ProduceResponse = client.call(9, &request).await;
    assert_eq!(only(&produced).error_code, 48);
}

// Conformance: broker/admin-22, broker/rejection-6
#[tokio::test]
async fn features_and_quorum_describe_one_node() {
    let (_dir, broker, mut client) = connected_broker().await;
    let request = DescribeQuorumRequest {
        topics: ["__cluster_metadata", "other"]
            .map(|name| RequestedTopic {
                topic_name: name.to_owned(),
                partitions: vec![RequestedPartition::default()],
            })
            .to_vec(),
    };
    let response: DescribeQuorumResponse = client.call(2, &request).await;
    let quorum = &response.topics[0].partitions[0];
    assert_eq!((quorum.error_code, quorum.leader_id), (0, 1));
    assert_eq!(quorum.current_voters.len(), 1);
    assert_eq!(response.topics[1].partitions[0].error_code, 3);
    let listener = &response.nodes[0].listeners[0];
    assert_eq!(listener.port, broker.kafka_address().port());

    for (feature, level, code) in [("metadata.version", 25, 0), ("metadata.version", 26, 95)] {
        let request = UpdateFeaturesRequest {
            feature_updates: vec![FeatureUpdateKey {
                feature: feature.to_owned(),
                max_version_level: level,
                ..Default::default()
            }],
            ..Default::default()
        };
        let response: UpdateFeaturesResponse = client.call(2, &request).await;
        assert_eq!(response.error_code, code, "{level}");
        // Up to version 1 each feature has a result of its own.
        let response: UpdateFeaturesResponse = client.call(1, &request).await;
        assert_eq!(
            (response.error_code, response.results[0].error_code),
            (0, code),
            "{level}"
        );
    }
}

// Conformance: broker/admin-22
#[tokio::test]
async fn missing_features_return_empty_lists() {
    let (_dir, _broker, mut client) = connected_broker().await;
    let quotas = DescribeClientQuotasRequest::default();
    let quotas: DescribeClientQuotasResponse = client.call(1, &quotas).await;
    assert_eq!((quotas.error_code, quotas.entries), (0, Some(Vec::new())));

    let user = |name: &str| UserName {
        name: name.to_owned(),
    };
    for (users, codes) in [
        (None, vec![]),
        (Some(vec![user("a"), user("b"), user("b")]), vec![91, 92]),
    ] {
        let request = DescribeUserScramCredentialsRequest { users };
        let response: DescribeUserScramCredentialsResponse = client.call(0, &request).await;
        let results = response.results.iter().map(|result| result.error_code);
        assert_eq!(results.collect::<Vec<_>>(), codes);
        assert_eq!(response.error_code, 0);
    }

    let request = ListTransactionsRequest {
        state_filters: vec!["Ongoing".to_owned(), "Odd".to_owned()],
        ..Default::default()
    };
    let listed: ListTransactionsResponse = client.call(2, &request).await;
    assert_eq!((listed.error_code, listed.transaction_states.len()), (0, 0));
    assert_eq!(listed.unknown_state_filters, ["Odd"]);
    // INVALID_REGULAR_EXPRESSION for an expression that RE2 does not have.
    for (pattern, code) in [("orders-.*", 0), ("(?=orders)", 128)] {
        let request = ListTransactionsRequest {
            transactional_id_pattern: Some(pattern.to_owned()),
            ..Default::default()
        };
        let listed: ListTransactionsResponse = client.call(2, &request).await;
        assert_eq!(listed.error_code, code, "{pattern}");
    }
}

// Conformance: broker/admin-22
#[tokio::test]
async fn config_resources_are_listed_and_described() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    for (version, types, expected) in [
        (0, vec![], vec![]),
        (1, vec![2], vec![(2, "t")]),
        (1, vec![32, 16], vec![]),
        (1, vec![], vec![(2, "t"), (4, "1"), (8, "1")]),
    ] {
        let request = ListConfigResourcesRequest {
            resource_types: types,
        };
        let listed: ListConfigResourcesResponse = client.call(version, &request).await;
        assert_eq!(listed.error_code, 0);
        let resources = listed.config_resources.iter();
        let resources = resources.map(|found| (found.resource_type, found.resource_name.as_str()));
        assert_eq!(resources.collect::<Vec<_>>(), expected);
    }
    let unknown = ListConfigResourcesRequest {
        resource_types: vec![64],
    };
    let listed: ListConfigResourcesResponse = client.call(1, &unknown).await;
    assert_eq!(listed.error_code, 35);

    for (resource_type, name) in [(32, "g"), (16, "m"), (8, "1")] {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type,
                resource_name: name.to_owned(),
                configuration_keys: None,
            }],
            ..Default::default()
        };
        let described: DescribeConfigsResponse = client.call(4, &request).await;
        let result = &described.results[0];
        assert_eq!((result.error_code, result.configs.len()), (0, 0), "{name}");
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type,
                resource_name: name.to_owned(),
                configs: vec![AlterableConfig::default()],
            }],
            ..Default::default()
        };
        let altered: IncrementalAlterConfigsResponse = client.call(1, &request).await;
        assert_eq!(altered.responses[0].error_code, 42, "{name}");
    }
}

// Conformance: broker/admin-22
#[tokio::test]
async fn describe_producers_returns_last_batches() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    for sequence in [0, 2] {
        let batch = sequenced(7, 3, sequence, &[b"a", b"b"]);
        let produced = client.produce("t", batch).await;
        assert_eq!(only(&produced).error_code, 0);
    }
    let request = DescribeProducersRequest {
        topics: vec![TopicRequest {
            name: "t".to_owned(),
            partition_indexes: vec![0, 1],
        }],
    };
    let response: DescribeProducersResponse = client.call(0, &request).await;
    let [described, unknown] = response.topics[0].partitions.as_slice() else {
        panic!("{response:?}");
    };
    assert_eq!((described.error_code, unknown.error_code), (0, 3));
    let producer = &described.active_producers[0];
    assert_eq!(
        (
            producer.producer_id,
            producer.producer_epoch,
            producer.last_sequence
        ),
        (7, 3, 3)
    );
    assert_eq!(producer.last_timestamp, super::client::NOW.0);
    assert_eq!(producer.current_txn_start_offset, -1);
}

// Conformance: broker/admin-22
#[tokio::test]
async fn replicas_stay_in_only_log_directory() {
    let (dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let path = dir.path().display().to_string();
    for (path, index, code) in [(path.as_str(), 0, 0), (&path, 1, 3), ("/elsewhere", 0, 57)] {
        let request = AlterReplicaLogDirsRequest {
            dirs: vec![AlterReplicaLogDir {
                path: path.to_owned(),
                topics: vec![AlterReplicaLogDirTopic {
                    name: "t".to_owned(),
                    partitions: vec![index],
                }],
            }],
        };
        let response: AlterReplicaLogDirsResponse = client.call(2, &request).await;
        assert_eq!(response.results[0].partitions[0].error_code, code, "{path}");
    }
}
