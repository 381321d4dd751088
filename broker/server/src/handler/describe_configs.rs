//! DescribeConfigs (key 32), versions 1 to 4.
//!
//! Behavior:
//! * Describes topics, this broker, and what was changed for all brokers (the broker whose name is
//!   empty).
//! * Groups, client metrics and broker loggers have no configs.
//! * Returns every config with its value and source, defaults included, because tools read, change
//!   and write back the complete list.

use std::sync::Arc;

use avouch_protocol::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
    DescribeConfigsResponse, DescribeConfigsResult, DescribeConfigsSynonym,
};

use super::Call;
use crate::admin::Admin;
use crate::admin::configs::ResourceKey;
use crate::error::code_and_message;
use crate::metadata::effective_config::EffectiveConfig;

pub(super) async fn handle(
    admin: Arc<Admin>,
    _call: Call,
    request: DescribeConfigsRequest,
) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| {
        let configs = admin.describe_configs(&ResourceKey {
            resource_type: resource.resource_type,
            name: resource.resource_name.clone(),
        });
        let (error_code, error_message) = code_and_message(&configs);
        DescribeConfigsResult {
            error_code,
            error_message,
            resource_type: resource.resource_type,
            resource_name: resource.resource_name.clone(),
            configs: described(&request, resource, configs.as_deref().unwrap_or_default()),
        }
    });
    DescribeConfigsResponse {
        results: results.collect(),
        ..Default::default()
    }
}

fn described(
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
    configs: &[EffectiveConfig],
) -> Vec<DescribeConfigsResourceResult> {
    let requested = |config: &EffectiveConfig| match &resource.configuration_keys {
        // As in Kafka, an empty list means all configs.
        Some(keys) => keys.is_empty() || keys.iter().any(|key| key == config.name),
        None => true,
    };
    let configs = configs.iter().filter(|config| requested(config));
    configs.map(|config| result(config, request)).collect()
}

fn result(
    config: &EffectiveConfig,
    request: &DescribeConfigsRequest,
) -> DescribeConfigsResourceResult {
    let shown = |value: Option<&str>| {
        let value = value.filter(|_| !config.is_sensitive());
        value.map(str::to_owned)
    };
    let synonyms = config.synonyms.iter().filter(|_| request.include_synonyms);
    // Kafka does not list a default of null as a synonym.
    let synonyms = synonyms
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
