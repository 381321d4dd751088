//! AlterConfigs: replace a resource's whole configuration.

use crate::message::message;

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
    /// The outcomes.
    pub struct AlterConfigsResponse {
        throttle_time_ms: i32,
        responses: Vec<AlterConfigsResourceResponse>,
    }

    /// The outcome for one resource.
    pub struct AlterConfigsResourceResponse {
        error_code: i16,
        error_message: Option<String>,
        resource_type: i8,
        resource_name: String,
    }
}
