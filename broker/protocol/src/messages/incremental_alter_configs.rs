//! IncrementalAlterConfigs: changes single configs (KIP-339).

use crate::message::message;

message! {
    IncrementalAlterConfigs:
    /// The changes.
    pub struct IncrementalAlterConfigsRequest {
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
        /// 0 set, 1 delete, 2 append, 3 subtract.
        config_operation: i8,
        value: Option<String>,
    }
}

message! {
    IncrementalAlterConfigs:
    /// The results.
    pub struct IncrementalAlterConfigsResponse {
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
