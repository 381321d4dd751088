//! Config values over the protocol: parsed as in Kafka, by every request that sets one.

use std::path::Path;
use std::sync::Arc;

use avouch_broker::{Broker, BrokerConfig};
use avouch_protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource as ReplacedResource, AlterConfigsResponse,
    AlterableConfig as ReplacedConfig,
};
use avouch_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest, CreateTopicsResponse,
};
use avouch_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse,
};
use avouch_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

use super::client::{Client, start};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;
const INVALID_CONFIG: i16 = 40;

async fn broker(dir: &Path) -> Broker {
    start(BrokerConfig::new(dir.to_owned()), Arc::default()).await
}

async fn create(client: &mut Client, topic: &str, configs: &[(&str, &str)]) -> i16 {
    let configs = configs.iter().map(|(name, value)| CreatableTopicConfig {
        name: (*name).to_owned(),
        value: Some((*value).to_owned()),
    });
    let request = CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: topic.to_owned(),
            num_partitions: 1,
            replication_factor: 1,
            configs: configs.collect(),
            ..Default::default()
        }],
        timeout_ms: 1_000,
        ..Default::default()
    };
    let response: CreateTopicsResponse = client.call(7, &request).await;
    response.topics[0].error_code
}

/// Sends one operation of IncrementalAlterConfigs and returns the error code.
async fn change(
    client: &mut Client,
    resource: (i8, &str),
    operation: i8,
    set: (&str, &str),
) -> i16 {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![AlterConfigsResource {
            resource_type: resource.0,
            resource_name: resource.1.to_owned(),
            configs: vec![AlterableConfig {
                name: set.0.to_owned(),
                config_operation: operation,
                value: Some(set.1.to_owned()).filter(|_| operation != DELETE),
            }],
        }],
        validate_only: false,
    };
    let response: IncrementalAlterConfigsResponse = client.call(1, &request).await;
    response.responses[0].error_code
}

async fn replace(client: &mut Client, topic: &str, name: &str, value: &str) -> i16 {
    let request = AlterConfigsRequest {
        resources: vec![ReplacedResource {
            resource_type: TOPIC,
            resource_name: topic.to_owned(),
            configs: vec![ReplacedConfig {
                name: name.to_owned(),
                value: Some(value.to_owned()),
            }],
        }],
        validate_only: false,
    };
    let response: AlterConfigsResponse = client.call(2, &request).await;
    response.responses[0].error_code
}

async fn describe(
    client: &mut Client,
    resource: (i8, &str),
    config: &str,
) -> Option<DescribeConfigsResourceResult> {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: resource.0,
            resource_name: resource.1.to_owned(),
            configuration_keys: Some(vec![config.to_owned()]),
        }],
        include_documentation: true,
        ..Default::default()
    };
    let response: DescribeConfigsResponse = client.call(4, &request).await;
    response
        .results
        .into_iter()
        .next()?
        .configs
        .into_iter()
        .next()
}

async fn value(client: &mut Client, resource: (i8, &str), config: &str) -> Option<String> {
    describe(client, resource, config).await?.value
}

// Conformance: broker/admin-24
#[tokio::test]
async fn every_request_parses_values_as_kafka() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let topic = (TOPIC, "t");
    let created = create(
        &mut client,
        "t",
        &[("retention.ms", " 5 "), ("preallocate", "TRUE")],
    );
    assert_eq!(created.await, 0);
    assert_eq!(
        value(&mut client, topic, "retention.ms").await.unwrap(),
        "5"
    );
    assert_eq!(
        value(&mut client, topic, "preallocate").await.unwrap(),
        "true"
    );

    let set = ("preallocate", " False ");
    assert_eq!(change(&mut client, topic, SET, set).await, 0);
    assert_eq!(
        value(&mut client, topic, "preallocate").await.unwrap(),
        "false"
    );

    assert_eq!(replace(&mut client, "t", "retention.ms", "\t6").await, 0);
    assert_eq!(
        value(&mut client, topic, "retention.ms").await.unwrap(),
        "6"
    );

    let default = (BROKER, "");
    let set = ("log.retention.ms", " 7 ");
    assert_eq!(change(&mut client, default, SET, set).await, 0);
    let found = value(&mut client, default, "log.retention.ms").await;
    assert_eq!(found.unwrap(), "7");
    let set = ("retention.ms", "5 5");
    assert_eq!(change(&mut client, topic, SET, set).await, INVALID_CONFIG);
}

// Conformance: broker/admin-24
#[tokio::test]
async fn segment_bytes_has_kafkas_minimum() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    for (topic, bytes, code) in [("a", "1048575", INVALID_CONFIG), ("b", "1048576", 0)] {
        let created = create(&mut client, topic, &[("segment.bytes", bytes)]).await;
        assert_eq!(created, code, "{bytes}");
    }
    let internal = "internal.segment.bytes";
    assert!(
        describe(&mut client, (TOPIC, "b"), internal)
            .await
            .is_none()
    );
}

// Conformance: broker/admin-24
#[tokio::test]
async fn deleting_unset_configs_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker(dir.path()).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    assert_eq!(create(&mut client, "t", &[]).await, 0);
    for (resource, name) in [
        ((TOPIC, "t"), "retention.ms"),
        ((BROKER, ""), "log.retention.ms"),
        ((BROKER, "1"), "log.cleaner.threads"),
        ((BROKER, "1"), "num.partitions"),
    ] {
        let deleted = change(&mut client, resource, DELETE, (name, "")).await;
        assert_eq!(deleted, 0, "{name}");
    }
    let set = ("num.partitions", "3");
    assert_ne!(change(&mut client, (BROKER, "1"), SET, set).await, 0);
}

// Conformance: broker/admin-24
#[tokio::test]
async fn kafkas_dynamic_configs_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let first = broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    let this = (BROKER, "1");
    for (name, value, effect) in [
        ("log.cleaner.backoff.ms", "100", "no effect"),
        ("max.connections", "1", "next start"),
    ] {
        assert_eq!(
            change(&mut client, this, SET, (name, value)).await,
            0,
            "{name}"
        );
        let described = describe(&mut client, this, name).await.unwrap();
        assert_eq!(described.value.as_deref(), Some(value), "{name}");
        assert!(!described.read_only, "{name}");
        let doc = described.documentation.unwrap();
        assert!(doc.contains(effect), "{doc}");
    }
    // A second connection is still accepted.
    let mut second_client = Client::connect(first.kafka_address()).await;
    assert!(
        value(&mut second_client, this, "max.connections")
            .await
            .is_some()
    );
    first.shutdown().await;

    let second = broker(dir.path()).await;
    let mut client = Client::connect(second.kafka_address()).await;
    let found = value(&mut client, this, "log.cleaner.backoff.ms").await;
    assert_eq!(found.as_deref(), Some("100"));
    let extra = tokio::net::TcpStream::connect(second.kafka_address()).await;
    // The broker closes a connection beyond the limit without a response.
    let mut byte = [0];
    let read = tokio::io::AsyncReadExt::read(&mut extra.unwrap(), &mut byte).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
}
