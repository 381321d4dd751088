//! IncrementalAlterConfigs (key 44), versions 0 and 1 (KIP-339).
//!
//! Behavior:
//! * Sets, deletes, appends to or subtracts from the configs in the request; the resource's other
//!   configs stay.
//! * Each resource changes completely or not at all, independently of the others.
//! * A resource that the request contains twice is rejected.

use std::sync::Arc;

use avouch_protocol::messages::incremental_alter_configs::{
    AlterConfigsResourceResponse, IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};

use super::{Call, alter_each};
use crate::admin::Admin;
use crate::admin::configs::ResourceKey;
use crate::metadata::Alteration;

pub(super) async fn handle(
    admin: Arc<Admin>,
    _call: Call,
    request: IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let resources = request.resources.into_iter().map(|resource| {
        let key = ResourceKey {
            resource_type: resource.resource_type,
            name: resource.resource_name,
        };
        let configs = resource.configs.into_iter();
        let changes = configs.map(|config| (config.name, config.config_operation, config.value));
        (key, Alteration::changing(changes))
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
    IncrementalAlterConfigsResponse {
        responses: responses.collect(),
        ..Default::default()
    }
}
