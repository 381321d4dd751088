//! AlterConfigs (key 33), versions 0 to 2.
//!
//! Behavior:
//! * The configs in the request replace all configs of the resource.
//! * Each resource changes completely or not at all, independently of the others.
//! * A resource that the request contains twice is rejected.

use std::sync::Arc;

use avouch_protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResource, AlterConfigsResourceResponse, AlterConfigsResponse,
};

use super::{Call, duplicates};
use crate::admin::configs::ResourceKey;
use crate::admin::{Admin, AdminError};
use crate::error::{RequestError, code_and_message};
use crate::metadata::Alteration;

pub(super) async fn handle(
    admin: Arc<Admin>,
    _call: Call,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
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
            let alteration =
                Alteration::replacing(configs.map(|config| (config.name, config.value)));
            let altered: Result<(), AdminError> = admin
                .alter_configs(&key, alteration, request.validate_only)
                .await;
            responses.push(response(&key, code_and_message(&altered)));
        }
    }
    AlterConfigsResponse {
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
