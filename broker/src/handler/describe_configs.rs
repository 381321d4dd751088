//! DescribeConfigs (key 32), versions 1 to 4, for topics and for this broker.
//!
//! Every config is listed with its value and source, defaults included: tools that read, change and
//! write back the whole list depend on it.

use std::sync::Arc;

use super::Call;
use crate::metadata::effective_config::{self, EffectiveConfig, Source};
use crate::metadata::topic_config::Kind;
use crate::server::{BrokerConfig, Node};
use crate::wire::error_code::ErrorCode;
use crate::wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| {
        let configs = match resource.resource_type {
            TOPIC => node
                .metadata
                .cluster()
                .topic(&resource.resource_name)
                .map(|topic| effective_config::of_topic(topic))
                .ok_or((
                    ErrorCode::UnknownTopicOrPartition,
                    "There is no such topic.",
                )),
            BROKER if is_this_broker(&node, &resource.resource_name) => {
                Ok(broker_configs(&node.config))
            }
            BROKER => Err((ErrorCode::InvalidRequest, "There is no such broker.")),
            _ => Err((
                ErrorCode::InvalidRequest,
                "Only topics and brokers have configs.",
            )),
        };
        match configs {
            Ok(configs) => described(&request, resource, configs),
            Err((error, message)) => DescribeConfigsResult {
                error_code: error.code(),
                error_message: Some(message.to_owned()),
                resource_type: resource.resource_type,
                resource_name: resource.resource_name.clone(),
                ..Default::default()
            },
        }
    });
    DescribeConfigsResponse {
        results: results.collect(),
        ..Default::default()
    }
}

fn broker_configs(config: &BrokerConfig) -> Vec<EffectiveConfig> {
    let limits = &config.limits;
    let of = |name, value: String, doc| EffectiveConfig {
        name,
        value,
        source: Source::Broker,
        kind: Kind::Text,
        default: "",
        doc,
    };
    vec![
        of(
            "auto.create.topics.enable",
            config.auto_create_topics.to_string(),
            "Whether asking for a topic creates it.",
        ),
        of("broker.id", config.node_id.to_string(), "This broker's id."),
        of(
            "connections.max.idle.ms",
            limits.idle.as_millis().to_string(),
            "Idle connections are closed after this.",
        ),
        of(
            "default.replication.factor",
            "1".to_owned(),
            "There is one broker.",
        ),
        of(
            "fetch.max.bytes",
            limits.fetch_bytes_max.to_string(),
            "The largest fetch response.",
        ),
        of(
            "log.dirs",
            config.data_dir.display().to_string(),
            "Where the data is.",
        ),
        of(
            "max.connections",
            limits.connections_max.to_string(),
            "Connections beyond it are closed at once.",
        ),
        of(
            "max.decompressed.message.bytes",
            limits.inflated_bytes_max.to_string(),
            "What one batch may inflate to.",
        ),
        of("node.id", config.node_id.to_string(), "This broker's id."),
        of(
            "num.partitions",
            config.default_partition_count.to_string(),
            "Partitions of a topic that does not say how many.",
        ),
        of(
            "queued.max.request.bytes",
            limits.in_flight_bytes_max.to_string(),
            "Requests taken in and not yet answered.",
        ),
        of(
            "socket.request.max.bytes",
            limits.request_bytes_max.to_string(),
            "The largest request.",
        ),
        of(
            "strict.replication",
            config.strict_replication.to_string(),
            "Refuses replication factors above 1 instead of clamping them.",
        ),
    ]
}

fn is_this_broker(node: &Node, name: &str) -> bool {
    name.is_empty() || name.parse() == Ok(node.config.node_id)
}

fn described(
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
    configs: Vec<EffectiveConfig>,
) -> DescribeConfigsResult {
    let wanted = |config: &EffectiveConfig| match &resource.configuration_keys {
        Some(keys) => keys.iter().any(|key| key == config.name),
        None => true,
    };
    DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        configs: configs
            .into_iter()
            .filter(wanted)
            .map(|config| into_wire(config, request))
            .collect(),
        ..Default::default()
    }
}

fn into_wire(
    config: EffectiveConfig,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResourceResult {
    let synonym = |value: &str, source: Source| DescribeConfigsSynonym {
        name: config.name.to_owned(),
        value: Some(value.to_owned()),
        source: source.code(),
    };
    let mut synonyms = Vec::new();
    if request.include_synonyms {
        synonyms.push(synonym(&config.value, config.source));
        if config.source == Source::Topic {
            synonyms.push(synonym(config.default, Source::Default));
        }
    }
    DescribeConfigsResourceResult {
        name: config.name.to_owned(),
        value: Some(config.value),
        // Nothing changes a running broker's own configs.
        read_only: config.source == Source::Broker,
        config_source: config.source.code(),
        is_sensitive: false,
        synonyms,
        config_type: kind_code(config.kind),
        documentation: request.include_documentation.then(|| config.doc.to_owned()),
    }
}

/// Kafka's numbers for config types.
fn kind_code(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::Text | Kind::OneOf(_) => 2,
        Kind::Int(_) => 3,
        Kind::Long(_) => 5,
        Kind::Ratio => 6,
        Kind::ListOf(_) => 7,
    }
}
