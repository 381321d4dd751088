//! DescribeConfigs (key 32), versions 1 to 4: of topics, of this broker, and what was changed for
//! all brokers (the broker without a name).
//!
//! Every config is listed with its value and source, defaults included: tools that read, change and
//! write back the whole list depend on it.

use std::sync::Arc;

use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};

use super::Call;
use crate::admin::configs::ConfigResource;
use crate::metadata::Scope;
use crate::metadata::effective_config::{self, EffectiveConfig};
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request
        .resources
        .iter()
        .map(|resource| match configs(&node, resource) {
            Ok(configs) => described(&request, resource, configs),
            Err((error, message)) => DescribeConfigsResult {
                error_code: error.code(),
                error_message: Some(message),
                resource_type: resource.resource_type,
                resource_name: resource.resource_name.clone(),
                ..Default::default()
            },
        });
    DescribeConfigsResponse {
        results: results.collect(),
        ..Default::default()
    }
}

fn configs(
    node: &Node,
    resource: &DescribeConfigsResource,
) -> Result<Vec<EffectiveConfig>, (ErrorCode, String)> {
    let cluster = node.metadata.cluster();
    let node_id = node.config.node_id;
    match ConfigResource::parse(resource.resource_type, &resource.resource_name, node_id)? {
        ConfigResource::Topic(name) => match cluster.topic(&name) {
            Some(topic) => Ok(effective_config::of_topic(topic, &cluster)),
            None => Err((
                ErrorCode::UnknownTopicOrPartition,
                format!("The topic '{name}' does not exist."),
            )),
        },
        ConfigResource::Broker(Scope::Broker) => {
            Ok(effective_config::of_broker(&node.started_with(), &cluster))
        }
        ConfigResource::Broker(Scope::Cluster) => Ok(effective_config::of_all_brokers(&cluster)),
    }
}

fn described(
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
    configs: Vec<EffectiveConfig>,
) -> DescribeConfigsResult {
    let wanted = |config: &EffectiveConfig| match &resource.configuration_keys {
        // As in Kafka, to name none is to ask for all.
        Some(keys) => keys.is_empty() || keys.iter().any(|key| key == config.name),
        None => true,
    };
    DescribeConfigsResult {
        resource_type: resource.resource_type,
        resource_name: resource.resource_name.clone(),
        configs: configs
            .into_iter()
            .filter(wanted)
            .map(|config| into_wire(&config, request))
            .collect(),
        ..Default::default()
    }
}

fn into_wire(
    config: &EffectiveConfig,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResourceResult {
    let shown = |value: Option<&str>| {
        let value = value.filter(|_| !config.is_sensitive());
        value.map(str::to_owned)
    };
    let asked = config.synonyms.iter().filter(|_| request.include_synonyms);
    // A default that is nothing is no synonym.
    let synonyms = asked
        .filter(|synonym| synonym.value.is_some())
        .map(|synonym| DescribeConfigsSynonym {
            name: synonym.name.to_owned(),
            value: shown(synonym.value.as_deref()),
            source: synonym.source.code(),
        });
    DescribeConfigsResourceResult {
        name: config.name.to_owned(),
        value: shown(config.value()),
        read_only: config.read_only,
        config_source: config.source().code(),
        is_sensitive: config.is_sensitive(),
        synonyms: synonyms.collect(),
        config_type: config.value_type.code(),
        documentation: request.include_documentation.then(|| config.doc.to_owned()),
    }
}
