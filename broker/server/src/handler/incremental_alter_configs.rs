//! IncrementalAlterConfigs (key 44), versions 0 and 1 (KIP-339).
//!
//! Behavior:
//! * Sets, deletes, appends to or subtracts from the configs in the request; the resource's other
//!   configs stay.
//! * Each resource changes completely or not at all, independently of the others.
//! * A resource that the request contains twice is rejected.

use std::sync::Arc;

use avouch_protocol::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterConfigsResourceResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
};

use super::{Call, duplicates};
use crate::admin::Admin;
use crate::admin::configs::ResourceKey;
use crate::error::{RequestError, code_and_message};
use crate::metadata::Alteration;

pub(super) async fn handle(
    admin: Arc<Admin>,
    _call: Call,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let twice = duplicates(request.resources.iter().map(key));
    let rejected = twice.iter().map(|key| {
        response(
            key,
            code_and_message::<(), _>(&Err(RequestError::DuplicateResource)),
        )
    });
    let mut responses: Vec<_> = rejected.collect();
    for resource in request.resources {
        let key = key(&resource);
        if !twice.contains(&key) {
            let configs = resource.configs.into_iter();
            let alteration = Alteration::changing(
                configs.map(|config| (config.name, config.config_operation, config.value)),
            );
            let altered = admin
                .alter_configs(&key, alteration, request.validate_only)
                .await;
            responses.push(response(&key, code_and_message(&altered)));
        }
    }
    IncrementalAlterConfigsResponse {
        responses,
        ..Default::default()
    }
}

fn key(resource: &AlterConfigsResource) -> ResourceKey {
    ResourceKey {
        resource_type: resource.resource_type,
        name: resource.resource_name.clone(),
    }
}

fn response(
    key: &ResourceKey,
    (error_code, error_message): (i16, Option<String>),
) -> AlterConfigsResourceResponse {
    AlterConfigsResourceResponse {
        error_code,
        error_message,
        resource_type: key.resource_type,
        resource_name: key.name.clone(),
    }
}
