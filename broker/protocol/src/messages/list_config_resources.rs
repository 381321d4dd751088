//! ListConfigResources: returns the resources that have configs (KIP-714, KIP-1142).

use crate::message::message;

message! {
    ListConfigResources:
    /// The types of resources; empty for all. Version 0 lists client metrics resources only.
    pub struct ListConfigResourcesRequest {
        resource_types: Vec<i8> [1..],
    }
}

message! {
    ListConfigResources:
    /// The resources.
    pub struct ListConfigResourcesResponse {
        throttle_time_ms: i32,
        error_code: i16,
        config_resources: Vec<ConfigResource>,
    }

    /// A resource.
    pub struct ConfigResource {
        resource_name: String,
        resource_type: i8 [1.., ignorable] = 16,
    }
}
