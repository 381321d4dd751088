//! IncrementalAlterConfigs (key 44), versions 0 and 1: changes some of a resource's configs.
//!
//! Each resource is decided alone, and changes whole or not at all; one named twice is refused. A
//! changed contract counts from the next batch.

use std::sync::Arc;

use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

use super::{Call, named_twice};
use crate::admin::configs::ConfigResource;
use crate::metadata::Alteration;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let twice = named_twice(request.resources.iter().map(resource_of));
    let mut responses = Vec::with_capacity(request.resources.len());
    for resource in &twice {
        let message = "Each resource must appear at most once.".to_owned();
        responses.push(answer(resource, Err((ErrorCode::InvalidRequest, message))));
    }
    for resource in request.resources {
        let this = resource_of(&resource);
        if !twice.contains(&this) {
            let altered = alter(&node, resource, request.validate_only).await;
            responses.push(answer(&this, altered));
        }
    }
    IncrementalAlterConfigsResponse {
        responses,
        ..Default::default()
    }
}

async fn alter(
    node: &Arc<Node>,
    resource: AlterConfigsResource,
    validate_only: bool,
) -> Result<(), (ErrorCode, String)> {
    let node_id = node.config.node_id;
    let whose = ConfigResource::parse(resource.resource_type, &resource.resource_name, node_id)?;
    let configs = resource.configs.into_iter();
    let alteration = Alteration::changing(
        configs.map(|config| (config.name, config.config_operation, config.value)),
    )
    .map_err(|error| (ErrorCode::InvalidRequest, error.to_string()))?;
    node.alter_configs(whose, alteration, validate_only).await
}

/// What tells resources apart: type and name.
fn resource_of(resource: &AlterConfigsResource) -> (i8, String) {
    (resource.resource_type, resource.resource_name.clone())
}

fn answer(
    (resource_type, resource_name): &(i8, String),
    altered: Result<(), (ErrorCode, String)>,
) -> AlterConfigsResourceResponse {
    let (error, error_message) = match altered {
        Ok(()) => (ErrorCode::None, None),
        Err((error, message)) => (error, Some(message)),
    };
    AlterConfigsResourceResponse {
        error_code: error.code(),
        error_message,
        resource_type: *resource_type,
        resource_name: resource_name.clone(),
    }
}
