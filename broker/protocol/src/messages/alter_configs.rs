//! AlterConfigs: replaces all configs of a resource.

use crate::message::message;

// Replaces all configs of a resource, so clients that change one config use
// IncrementalAlterConfigs instead. Version 1 equals 0.
message! {
    AlterConfigs:
    /// The new configurations.
    pub struct AlterConfigsRequest {
        resources: Vec<AlterConfigsResource>,
        validate_only: bool,
    }

    /// One resource's values.
    pub struct AlterConfigsResource {
        /// 2 a topic, 4 a broker, 8 a broker logger.
        resource_type: i8,
        resource_name: String,
        configs: Vec<AlterableConfig>,
    }

    /// A configuration value.
    pub struct AlterableConfig {
        name: String,
        value: Option<String>,
    }
}

message! {
    AlterConfigs:
    /// The results.
    pub struct AlterConfigsResponse {
        throttle_time_ms: i32,
        responses: Vec<AlterConfigsResourceResponse>,
    }

    /// The result for one resource.
    pub struct AlterConfigsResourceResponse {
        error_code: i16,
        error_message: Option<String>,
        resource_type: i8,
        resource_name: String,
    }
}
