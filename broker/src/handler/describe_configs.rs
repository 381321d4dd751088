//! DescribeConfigs (key 32), versions 1 to 4, for topics and for this broker.
//!
//! Every config is listed with its value and source, defaults included: tools that read, change and
//! write back the whole list depend on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Call;
use crate::contract::policy;
use crate::metadata::Topic;
use crate::metadata::topic_config::{self, Kind};
use crate::server::{BrokerConfig, Node};
use crate::wire::error_code::ErrorCode;
use crate::wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const SOURCE_TOPIC: i8 = 1;
const SOURCE_STATIC_BROKER: i8 = 4;
const SOURCE_DEFAULT: i8 = 5;

/// One config as it stands.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) source: i8,
    kind: i8,
    doc: &'static str,
    default: &'static str,
    read_only: bool,
}

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| {
        let entries = match resource.resource_type {
            TOPIC => node
                .metadata
                .cluster()
                .topic(&resource.resource_name)
                .map(|topic| topic_entries(topic))
                .ok_or((
                    ErrorCode::UnknownTopicOrPartition,
                    "There is no such topic.",
                )),
            BROKER if is_this_broker(&node, &resource.resource_name) => {
                Ok(broker_entries(&node.config))
            }
            BROKER => Err((ErrorCode::InvalidRequest, "There is no such broker.")),
            _ => Err((
                ErrorCode::InvalidRequest,
                "Only topics and brokers have configs.",
            )),
        };
        match entries {
            Ok(entries) => described(&request, resource, entries),
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

/// Every config of a topic: Kafka's, then the contract's.
pub(super) fn topic_entries(topic: &Topic) -> Vec<Entry> {
    let kafka = topic_config::CONFIGS.iter().map(|def| Entry {
        kind: kind_code(def.kind),
        doc: def.doc,
        ..entry(&topic.row.configs, def.name, def.default)
    });
    let contract = policy::CONFIGS.iter().map(|def| Entry {
        doc: def.doc,
        ..entry(&topic.row.configs, def.name, def.default)
    });
    kafka.chain(contract).collect()
}

fn entry(configs: &BTreeMap<String, String>, name: &'static str, default: &'static str) -> Entry {
    let (value, source) = match configs.get(name) {
        Some(value) => (value.clone(), SOURCE_TOPIC),
        None => (default.to_owned(), SOURCE_DEFAULT),
    };
    Entry {
        name,
        value,
        source,
        kind: KIND_STRING,
        doc: "",
        default,
        read_only: false,
    }
}

fn broker_entries(config: &BrokerConfig) -> Vec<Entry> {
    let limits = &config.limits;
    let of = |name, value: String, doc| Entry {
        name,
        value,
        source: SOURCE_STATIC_BROKER,
        kind: KIND_STRING,
        doc,
        default: "",
        read_only: true,
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
    entries: Vec<Entry>,
) -> DescribeConfigsResult {
    let wanted = |entry: &Entry| match &resource.configuration_keys {
        Some(keys) => keys.iter().any(|key| key == entry.name),
        None => true,
    };
    DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        configs: entries
            .into_iter()
            .filter(wanted)
            .map(|entry| entry.into_wire(request))
            .collect(),
        ..Default::default()
    }
}

impl Entry {
    fn into_wire(self, request: &DescribeConfigsRequest) -> DescribeConfigsResourceResult {
        let synonym = |value: &str, source| DescribeConfigsSynonym {
            name: self.name.to_owned(),
            value: Some(value.to_owned()),
            source,
        };
        let mut synonyms = Vec::new();
        if request.include_synonyms {
            synonyms.push(synonym(&self.value, self.source));
            if self.source == SOURCE_TOPIC {
                synonyms.push(synonym(self.default, SOURCE_DEFAULT));
            }
        }
        DescribeConfigsResourceResult {
            name: self.name.to_owned(),
            value: Some(self.value),
            read_only: self.read_only,
            config_source: self.source,
            is_sensitive: false,
            synonyms,
            config_type: self.kind,
            documentation: request.include_documentation.then(|| self.doc.to_owned()),
        }
    }
}

const KIND_STRING: i8 = 2;

/// Kafka's numbers for config types.
fn kind_code(kind: Kind) -> i8 {
    match kind {
        Kind::Boolean => 1,
        Kind::Text | Kind::OneOf(_) => KIND_STRING,
        Kind::Int(_) => 3,
        Kind::Long(_) => 5,
        Kind::Ratio => 6,
        Kind::ListOf(_) => 7,
    }
}
