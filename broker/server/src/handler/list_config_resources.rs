//! ListConfigResources (key 74), versions 0 and 1.
//!
//! Behavior:
//! * Returns all topics, this broker as broker and as broker logger, and no groups and client
//!   metrics resources.
//!
//! Version notes:
//! * Version 0 lists client metrics resources only (KIP-714), version 1 resources of the requested
//!   types, or of all types if it has none (KIP-1142).

use std::sync::Arc;

use avouch_protocol::messages::list_config_resources::{
    ConfigResource, ListConfigResourcesRequest, ListConfigResourcesResponse,
};

use super::Call;
use crate::admin::Admin;
use crate::error::code_of;

const CLIENT_METRICS: i8 = 16;

pub(super) async fn handle(
    admin: Arc<Admin>,
    call: Call,
    request: ListConfigResourcesRequest,
) -> ListConfigResourcesResponse {
    let types = match call.version() {
        0 => vec![CLIENT_METRICS],
        _ => request.resource_types,
    };
    let resources = admin.list_config_resources(&types);
    let error_code = code_of(&resources);
    let resources = resources.unwrap_or_default().into_iter();
    ListConfigResourcesResponse {
        error_code,
        config_resources: resources
            .map(|resource| ConfigResource {
                resource_name: resource.name,
                resource_type: resource.resource_type,
            })
            .collect(),
        ..Default::default()
    }
}
