//! AlterConfigs (key 33), versions 0 to 2.
//!
//! Behavior:
//! * The configs in the request replace all configs of the resource.
//! * Each resource changes completely or not at all, independently of the others.
//! * A resource that the request contains twice is rejected.

use std::sync::Arc;

use avouch_protocol::messages::alter_configs::{
    AlterConfigsRequest, AlterConfigsResourceResponse, AlterConfigsResponse,
};

use super::{Call, alter_each};
use crate::admin::Admin;
use crate::admin::configs::ResourceKey;
use crate::metadata::Alteration;

pub(super) async fn handle(
    admin: Arc<Admin>,
    _call: Call,
    request: AlterConfigsRequest,
) -> AlterConfigsResponse {
    let resources = request.resources.into_iter().map(|resource| {
        let key = ResourceKey {
            resource_type: resource.resource_type,
            name: resource.resource_name,
        };
        let configs = resource.configs.into_iter();
        let changes = configs.map(|config| (config.name, config.value));
        (key, Alteration::replacing(changes))
    });
    let altered = alter_each(&admin, resources.collect(), request.validate_only).await;
    let responses = altered
        .into_iter()
        .map(
            |(key, (error_code, error_message))| AlterConfigsResourceResponse {
                error_code,
                error_message,
                resource_type: key.resource_type,
                resource_name: key.name,
            },
        );
    AlterConfigsResponse {
        responses: responses.collect(),
        ..Default::default()
    }
}
