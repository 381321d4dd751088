//! Static broker configs under Kafka's names: described as static, effective, and overridden by
//! dynamic configs.

use std::path::Path;
use std::sync::Arc;

use avouch_broker::{Broker, BrokerConfig};
use avouch_protocol::messages::create_topics::{
    CreatableTopic, CreateTopicsRequest, CreateTopicsResponse,
};
use avouch_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResponse,
};
use avouch_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use avouch_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse,
};
use avouch_protocol::messages::produce::ProduceResponse;

use super::client::{Client, batch_of, produce_request, start};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
// Codes of config sources in DescribeConfigs.
const CHANGED: i8 = 2;
const STATIC: i8 = 4;

async fn started_with(dir: &Path, configs: &[(&str, &str)]) -> Broker {
    let mut config = BrokerConfig::new(dir.to_owned());
    config.configure(configs.iter().copied()).unwrap();
    start(config, Arc::default()).await
}

/// Returns the value of a config and the code of its source.
async fn described(client: &mut Client, kind: i8, name: &str, config: &str) -> (String, i8) {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: kind,
            resource_name: name.to_owned(),
            configuration_keys: Some(vec![config.to_owned()]),
        }],
        ..Default::default()
    };
    let response: DescribeConfigsResponse = client.call(4, &request).await;
    let config = &response.results[0].configs[0];
    (
        config.value.clone().unwrap_or_default(),
        config.config_source,
    )
}

async fn created(client: &mut Client, name: &str, replication_factor: i16) -> (i16, i32) {
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: name.to_owned(),
            num_partitions: -1,
            replication_factor,
            ..Default::default()
        }],
        timeout_ms: 1_000,
        ..Default::default()
    };
    let response: CreateTopicsResponse = client.call(7, &request).await;
    (
        response.topics[0].error_code,
        response.topics[0].num_partitions,
    )
}

// Conformance: broker/admin-19
#[tokio::test]
async fn dynamic_configs_override_static_ones() {
    let dir = tempfile::tempdir().unwrap();
    let static_configs = [
        ("num.partitions", "3"),
        ("log.retention.ms", "1000"),
        // A value equal to the default is still a static config.
        ("max.connections", "10000"),
        ("avouch.enforcement", "shadow"),
    ];
    let broker = started_with(dir.path(), &static_configs).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    for (name, value) in static_configs {
        let expected = (value.to_owned(), STATIC);
        assert_eq!(described(&mut client, BROKER, "1", name).await, expected);
    }
    assert_eq!(created(&mut client, "t", -1).await, (0, 3));
    let of_topic = described(&mut client, TOPIC, "t", "retention.ms").await;
    assert_eq!(of_topic, ("1000".to_owned(), STATIC));

    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: BROKER,
            resource_name: "1".to_owned(),
            configs: vec![AlterableConfig {
                name: "log.retention.ms".to_owned(),
                config_operation: 0,
                value: Some("2000".to_owned()),
            }],
        }],
        validate_only: false,
    };
    let altered: IncrementalAlterConfigsResponse = client.call(1, &request).await;
    assert_eq!(altered.responses[0].error_code, 0);
    broker.shutdown().await;
    let broker = started_with(dir.path(), &static_configs).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let of_topic = described(&mut client, TOPIC, "t", "retention.ms").await;
    assert_eq!(of_topic, ("2000".to_owned(), CHANGED));
}

// Conformance: broker/admin-20
#[tokio::test]
async fn disabled_auto_creation_creates_no_topic() {
    let dir = tempfile::tempdir().unwrap();
    let broker = started_with(dir.path(), &[("auto.create.topics.enable", "false")]).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let request = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some("t".to_owned()),
            ..Default::default()
        }]),
        // Both the client and the broker must allow auto-creation.
        allow_auto_topic_creation: true,
        ..Default::default()
    };
    for _ in 0..2 {
        let missing: MetadataResponse = client.call(12, &request).await;
        assert_eq!(missing.topics[0].error_code, 3);
    }
    assert_eq!(created(&mut client, "t", -1).await, (0, 1));
    let found: MetadataResponse = client.call(12, &request).await;
    assert_eq!(found.topics[0].error_code, 0);
}

// Conformance: broker/admin-20, broker/produce-6, broker/deviation-2
#[tokio::test]
async fn strict_replication_rejects_missing_replicas() {
    let dir = tempfile::tempdir().unwrap();
    let broker = started_with(dir.path(), &[("strict.replication", "true")]).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    // INVALID_REPLICATION_FACTOR.
    assert_eq!(created(&mut client, "three", 3).await.0, 38);
    client
        .create_topic_with("two", 1, &[("min.insync.replicas", "2")])
        .await;
    // NOT_ENOUGH_REPLICAS applies to acks=all only.
    for (acks, code) in [(-1, 19), (1, 0)] {
        let request = produce_request("two", 0, acks, batch_of(&[b"v"]));
        let response: ProduceResponse = client.call(9, &request).await;
        let partition = &response.responses[0].partition_responses[0];
        assert_eq!(partition.error_code, code, "acks {acks}");
    }
}
