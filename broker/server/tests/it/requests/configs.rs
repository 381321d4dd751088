//! Topic and broker configs over the protocol: described completely, changed by AlterConfigs and
//! IncrementalAlterConfigs, effective immediately.

use std::sync::Arc;

use avouch_protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource as ReplacedResource, AlterConfigsResponse,
    AlterableConfig as ReplacedConfig,
};
use avouch_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse,
};
use avouch_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};
use avouch_protocol::messages::produce::ProduceResponse;

use super::client::{
    Client, OneSubject, batch_of, broker, broker_limited, broker_with, connected_broker,
};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;
/// Schema id 1, then a truncated Avro string.
const TRUNCATED: &[u8] = &[0, 0, 0, 0, 1, 4, b'a'];

/// Name, operation and value of a config change.
type Change<'a> = (&'a str, i8, Option<&'a str>);

fn resource(kind: i8, name: &str, changes: &[Change<'_>]) -> AlterConfigsResource {
    let configs = changes
        .iter()
        .map(|(name, operation, value)| AlterableConfig {
            name: (*name).to_owned(),
            config_operation: *operation,
            value: value.map(str::to_owned),
        });
    AlterConfigsResource {
        resource_type: kind,
        resource_name: name.to_owned(),
        configs: configs.collect(),
    }
}

/// Changes one resource and returns the error code.
async fn alter(client: &mut Client, kind: i8, name: &str, changes: &[Change<'_>]) -> i16 {
    let request = IncrementalAlterConfigsRequest {
        resources: vec![resource(kind, name, changes)],
        validate_only: false,
    };
    let response: IncrementalAlterConfigsResponse = client.call(1, &request).await;
    response.responses[0].error_code
}

async fn described(
    client: &mut Client,
    kind: i8,
    name: &str,
) -> Vec<DescribeConfigsResourceResult> {
    let request = DescribeConfigsRequest {
        resources: vec![DescribeConfigsResource {
            resource_type: kind,
            resource_name: name.to_owned(),
            configuration_keys: None,
        }],
        include_synonyms: true,
        include_documentation: true,
    };
    let response: DescribeConfigsResponse = client.call(4, &request).await;
    let result = response.results.into_iter().next().unwrap();
    assert_eq!(result.error_code, 0, "{:?}", result.error_message);
    result.configs
}

/// Returns the value of a config and the code of its source.
async fn value(client: &mut Client, kind: i8, name: &str, config: &str) -> (String, i8) {
    let configs = described(client, kind, name).await;
    let found = configs.into_iter().find(|found| found.name == config);
    let found = found.unwrap();
    (found.value.unwrap_or_default(), found.config_source)
}

fn produced(response: &ProduceResponse) -> i16 {
    response.responses[0].partition_responses[0].error_code
}

// Conformance: broker/admin-2
#[tokio::test]
async fn describe_configs_lists_all_kafka_configs() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let topic = described(&mut client, TOPIC, "t").await;
    // Kafka's own topic configs have names with dots, except a few; aliases of other vendors do not
    // count.
    let kafkas = topic
        .iter()
        .filter(|config| !config.name.contains('.') || is_kafkas(config));
    assert_eq!(kafkas.count(), 37, "number of topic configs of Kafka 4.4");
    let of_broker = described(&mut client, BROKER, "1").await;
    assert!(of_broker.len() > 300, "{}", of_broker.len());
    for config in topic.iter().chain(&of_broker) {
        assert!(
            config
                .documentation
                .as_ref()
                .is_some_and(|doc| !doc.is_empty()),
            "{config:?}"
        );
        assert!(is_of_its_type(config), "{config:?}");
    }
    let type_of = |configs: &[DescribeConfigsResourceResult], name| {
        let config = configs.iter().find(|config| config.name == name);
        config.map(|config| config.config_type)
    };
    for (name, config_type) in [
        ("avouch.bypass.principals", 7),
        ("avouch.datum.depth.max", 3),
        ("avouch.datum.items.max", 3),
        ("avouch.max.batch.decompressed.bytes", 3),
        ("avouch.value.validation", 2),
        ("max.decompressed.message.bytes", 3),
    ] {
        assert_eq!(type_of(&topic, name), Some(config_type), "{name}");
        assert_eq!(type_of(&of_broker, name), Some(config_type), "{name}");
    }
    assert_eq!(type_of(&of_broker, "listeners"), Some(7));
    let of = |name: &str| of_broker.iter().find(|config| config.name == name).unwrap();
    assert!(of("num.partitions").read_only && !of("log.retention.ms").read_only);
    assert!(of("ssl.keystore.password").is_sensitive);
    assert_eq!(
        (
            of("node.id").config_source,
            of("message.max.bytes").config_source
        ),
        // STATIC_BROKER_CONFIG and DEFAULT_CONFIG.
        (4, 5)
    );
    let retention = topic
        .iter()
        .find(|config| config.name == "retention.ms")
        .unwrap();
    // Type 5 is LONG.
    assert_eq!((retention.config_type, retention.read_only), (5, false));
    assert_eq!(retention.synonyms[0].name, "log.retention.ms");
}

/// Returns whether the value of a config is one of the type with which it is described.
fn is_of_its_type(config: &DescribeConfigsResourceResult) -> bool {
    let Some(value) = config.value.as_deref() else {
        return true;
    };
    match config.config_type {
        1 => value.parse::<bool>().is_ok(),
        3 => value.parse::<i32>().is_ok(),
        4 => value.parse::<i16>().is_ok(),
        5 => value.parse::<i64>().is_ok(),
        6 => value.parse::<f64>().is_ok(),
        // A string, a list, a class or a password.
        2 | 7..=9 => true,
        _ => false,
    }
}

// Conformance: broker/input-4
#[tokio::test]
async fn enforced_limits_are_described() {
    let dir = tempfile::tempdir().unwrap();
    let broker = broker_limited(dir.path(), |limits| {
        // Both are unlimited by default.
        limits.connections.connections_per_ip_max = 7;
        limits.connections.connections_per_ip_and_second_max = 5;
    })
    .await;
    let mut client = Client::connect(broker.kafka_address()).await;
    let described = described(&mut client, BROKER, "1").await;
    for (name, value, has_effect) in [
        ("max.connections", "10000", true),
        ("max.connections.per.ip", "7", true),
        ("max.connection.creation.rate", "5", true),
        // The value is enforced, but a change is only stored.
        ("producer.id.expiration.ms", "86400000", false),
        ("queued.max.request.bytes", "268435456", true),
    ] {
        let config = described.iter().find(|config| config.name == name).unwrap();
        assert_eq!(config.value.as_deref(), Some(value), "{name}");
        let documentation = config.documentation.as_deref().unwrap_or_default();
        assert_eq!(documentation.contains("no effect"), !has_effect, "{name}");
    }
}

// Conformance: broker/admin-2
#[tokio::test]
async fn request_without_config_names_returns_all() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let mut counts = Vec::new();
    // As in Kafka, an empty list has the same meaning as null.
    for keys in [None, Some(Vec::new()), Some(vec!["segment.ms".to_owned()])] {
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: TOPIC,
                resource_name: "t".to_owned(),
                configuration_keys: keys,
            }],
            ..Default::default()
        };
        let response: DescribeConfigsResponse = client.call(4, &request).await;
        counts.push(response.results[0].configs.len());
    }
    assert!(counts[0] > 30, "{counts:?}");
    assert_eq!(counts[1..], [counts[0], 1]);
}

fn is_kafkas(config: &DescribeConfigsResourceResult) -> bool {
    !["avouch.", "confluent.", "redpanda.", "warpstream."]
        .iter()
        .any(|prefix| config.name.starts_with(prefix))
}

// Conformance: broker/admin-3
#[tokio::test]
async fn topic_configs_support_all_operations() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    for (name, operation, given, expected) in [
        ("retention.ms", SET, Some("5"), ("5", 1)),
        ("retention.ms", DELETE, None, ("604800000", 5)),
        (
            "cleanup.policy",
            APPEND,
            Some("compact"),
            ("delete,compact", 1),
        ),
        // SUBTRACT must work on the result of APPEND, not on the default.
        ("cleanup.policy", SUBTRACT, Some("delete"), ("compact", 1)),
    ] {
        let code = alter(&mut client, TOPIC, "t", &[(name, operation, given)]).await;
        assert_eq!(code, 0, "{name} {operation}");
        let now = value(&mut client, TOPIC, "t", name).await;
        assert_eq!((now.0.as_str(), now.1), expected, "{name} {operation}");
    }
}

// Conformance: broker/admin-3
#[tokio::test]
async fn invalid_config_changes_are_rejected() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    // Sent with each invalid topic change. A partial success would be visible at the end.
    let good = ("retention.bytes", SET, Some("7"));
    for (kind, name, change, code) in [
        // 40 is INVALID_CONFIG, 42 INVALID_REQUEST, 3 UNKNOWN_TOPIC_OR_PARTITION.
        (TOPIC, "t", ("retention.ms", SET, Some("soon")), 40),
        (TOPIC, "t", ("retention.mss", SET, Some("1")), 40),
        (TOPIC, "t", ("retention.ms", APPEND, Some("1")), 40),
        (TOPIC, "t", ("avouch.enforcement", SET, Some("perhaps")), 40),
        (TOPIC, "t", ("retention.ms", SET, None), 42),
        (TOPIC, "t", ("retention.ms", 9, Some("1")), 42),
        (TOPIC, "t", ("retention.bytes", DELETE, None), 42),
        (TOPIC, "none", ("retention.ms", SET, Some("1")), 3),
        (BROKER, "1", ("num.partitions", SET, Some("3")), 42),
        (BROKER, "9", ("log.retention.ms", SET, Some("1")), 42),
        (BROKER, "one", ("log.retention.ms", SET, Some("1")), 42),
        (BROKER, "", ("log.retention.ms", SET, Some("soon")), 40),
        (BROKER, "", ("no.such.config", SET, Some("1")), 40),
        // Type 8 is BROKER_LOGGER, which Kafka supports and this broker does not.
        (8, "1", ("root", SET, Some("DEBUG")), 42),
    ] {
        let changes = if kind == TOPIC {
            vec![good, change]
        } else {
            vec![change]
        };
        let got = alter(&mut client, kind, name, &changes).await;
        assert_eq!(got, code, "{kind} {name} {change:?}");
    }
    assert_eq!(
        value(&mut client, TOPIC, "t", "retention.bytes").await,
        ("-1".to_owned(), 5)
    );
    let twice = IncrementalAlterConfigsRequest {
        resources: vec![resource(TOPIC, "t", &[good]), resource(TOPIC, "t", &[good])],
        validate_only: false,
    };
    let response: IncrementalAlterConfigsResponse = client.call(1, &twice).await;
    assert_eq!(
        (response.responses.len(), response.responses[0].error_code),
        // One error for both entries of the resource.
        (1, 42)
    );
    let validate_only = IncrementalAlterConfigsRequest {
        resources: vec![resource(TOPIC, "t", &[good])],
        validate_only: true,
    };
    let response: IncrementalAlterConfigsResponse = client.call(1, &validate_only).await;
    assert_eq!(response.responses[0].error_code, 0);
    assert_eq!(
        value(&mut client, TOPIC, "t", "retention.bytes").await,
        ("-1".to_owned(), 5)
    );
}

// Conformance: broker/admin-4
#[tokio::test]
async fn alter_configs_replaces_all_configs() {
    let (_dir, _broker, mut client) = connected_broker().await;
    client.create_topic("t", 1).await;
    let replacing = |configs: Vec<ReplacedConfig>| AlterConfigsRequest {
        resources: vec![ReplacedResource {
            resource_type: TOPIC,
            resource_name: "t".to_owned(),
            configs,
        }],
        validate_only: false,
    };
    let config = |name: &str, value: &str| ReplacedConfig {
        name: name.to_owned(),
        value: Some(value.to_owned()),
    };
    let both = vec![
        config("retention.ms", "5"),
        config("segment.bytes", "1048576"),
    ];
    for (configs, retention, segment) in [
        (both, ("5", 1), ("1048576", 1)),
        (
            // AlterConfigs is not incremental: segment.bytes returns to its default.
            vec![config("retention.ms", "6")],
            ("6", 1),
            ("1073741824", 5),
        ),
    ] {
        let response: AlterConfigsResponse = client.call(2, &replacing(configs)).await;
        assert_eq!(response.responses[0].error_code, 0);
        for (name, expected) in [("retention.ms", retention), ("segment.bytes", segment)] {
            let now = value(&mut client, TOPIC, "t", name).await;
            assert_eq!((now.0.as_str(), now.1), expected, "{name}");
        }
    }
    let all = described(&mut client, TOPIC, "t").await;
    // kafka-configs.sh of old versions reads all configs, changes one, and writes all back.
    let written_back = all
        .iter()
        .map(|found| config(&found.name, found.value.as_deref().unwrap()));
    let request = replacing(written_back.collect());
    let response: AlterConfigsResponse = client.call(2, &request).await;
    assert_eq!(
        response.responses[0].error_code, 0,
        "{:?}",
        response.responses[0]
    );
    let after = described(&mut client, TOPIC, "t").await;
    let values = |configs: &[DescribeConfigsResourceResult]| -> Vec<Option<String>> {
        configs.iter().map(|config| config.value.clone()).collect()
    };
    assert_eq!(values(&all), values(&after));
}

// Conformance: broker/admin-5
#[tokio::test]
async fn contract_change_affects_next_batch() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Arc::new(OneSubject::default());
    registry.register();
    let broker = broker_with(dir.path(), registry).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("checked", 1).await;
    assert_eq!(
        produced(&client.produce("checked", batch_of(&[TRUNCATED])).await),
        87
    );
    for (change, code) in [
        (("avouch.value.validation", SET, Some("id")), 0),
        (("avouch.value.validation", DELETE, None), 87),
        (("avouch.enforcement", SET, Some("shadow")), 0),
        (("avouch.enforcement", DELETE, None), 87),
        // Aliases of other vendors change the same setting.
        (("confluent.value.schema.validation", SET, Some("false")), 0),
        (("confluent.value.schema.validation", SET, Some("true")), 87),
        (
            (
                "warpstream.schema.validation.warning.only",
                SET,
                Some("true"),
            ),
            0,
        ),
    ] {
        assert_eq!(
            alter(&mut client, TOPIC, "checked", &[change]).await,
            0,
            "{change:?}"
        );
        let response = client.produce("checked", batch_of(&[TRUNCATED])).await;
        assert_eq!(produced(&response), code, "{change:?}");
    }
    // The alias of Confluent is still set to true.
    let contradiction = [("redpanda.value.schema.id.validation", SET, Some("false"))];
    assert_eq!(
        alter(&mut client, TOPIC, "checked", &contradiction).await,
        40
    );
}

// Conformance: broker/admin-6
#[tokio::test]
async fn topic_configs_default_to_broker_configs() {
    let dir = tempfile::tempdir().unwrap();
    let first = broker(dir.path()).await;
    let mut client = Client::connect(first.kafka_address()).await;
    client.create_topic("t", 1).await;
    client.create_topic("own", 1).await;
    let own = [("retention.ms", SET, Some("1"))];
    alter(&mut client, TOPIC, "own", &own).await;
    // The empty name is the cluster default. The config of broker 1 overrides it.
    for (name, given) in [("", "3"), ("1", "2")] {
        let change = [("log.retention.ms", SET, Some(given))];
        assert_eq!(alter(&mut client, BROKER, name, &change).await, 0);
    }
    let configs = described(&mut client, TOPIC, "own").await;
    let retention = configs
        .iter()
        .find(|config| config.name == "retention.ms")
        .unwrap();
    let synonyms: Vec<_> = retention
        .synonyms
        .iter()
        .map(|synonym| {
            (
                synonym.name.as_str(),
                synonym.value.as_deref().unwrap(),
                synonym.source,
            )
        })
        .collect();
    let expected = [
        // Sources: topic, this broker, all brokers, default. Kafka lists them by precedence.
        ("retention.ms", "1", 1),
        ("log.retention.ms", "2", 2),
        ("log.retention.ms", "3", 3),
        ("log.retention.ms", "604800000", 5),
    ];
    assert_eq!(synonyms, expected);
    assert_eq!(
        value(&mut client, TOPIC, "t", "retention.ms").await,
        ("2".to_owned(), 2)
    );
    let all_brokers = described(&mut client, BROKER, "").await;
    let names: Vec<&str> = all_brokers
        .iter()
        .map(|config| config.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["log.retention.ms"],
        "configs changed for all brokers"
    );
    first.shutdown().await;

    let second = broker(dir.path()).await;
    let mut client = Client::connect(second.kafka_address()).await;
    assert_eq!(
        value(&mut client, TOPIC, "t", "retention.ms").await,
        ("2".to_owned(), 2)
    );
    alter(
        &mut client,
        BROKER,
        "1",
        &[("log.retention.ms", DELETE, None)],
    )
    .await;
    assert_eq!(
        value(&mut client, TOPIC, "t", "retention.ms").await,
        ("3".to_owned(), 3)
    );
}

// Conformance: broker/admin-6
#[tokio::test]
async fn broker_defaults_take_effect_immediately() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Arc::new(OneSubject::default());
    registry.register();
    let broker = broker_with(dir.path(), registry).await;
    let mut client = Client::connect(broker.kafka_address()).await;
    client.create_topic("checked", 1).await;
    for (change, code) in [
        (("message.max.bytes", SET, Some("60")), 10),
        (("message.max.bytes", DELETE, None), 87),
        (("avouch.enforcement", SET, Some("shadow")), 0),
        (("avouch.enforcement", SET, Some("enforce")), 87),
        (("confluent.value.schema.validation", SET, Some("true")), 87),
        (("avouch.compat.level", SET, Some("id")), 0),
    ] {
        assert_eq!(
            alter(&mut client, BROKER, "", &[change]).await,
            0,
            "{change:?}"
        );
        let response = client.produce("checked", batch_of(&[TRUNCATED])).await;
        assert_eq!(produced(&response), code, "{change:?}");
    }
    // A broker default must not make the version window of a topic empty.
    let window = [("avouch.value.version.min", SET, Some("5"))];
    assert_eq!(alter(&mut client, TOPIC, "checked", &window).await, 0);
    let below = [("avouch.value.version.max", SET, Some("4"))];
    assert_eq!(alter(&mut client, BROKER, "", &below).await, 40);
}
