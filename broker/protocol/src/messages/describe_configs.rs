//! DescribeConfigs: configuration values and where they come from.

use crate::message::message;

message! {
    DescribeConfigs:
    /// The resources to describe.
    pub struct DescribeConfigsRequest {
        resources: Vec<DescribeConfigsResource>,
        include_synonyms: bool,
        include_documentation: bool [3..],
    }

    /// A resource and which of its values; null asks for all.
    pub struct DescribeConfigsResource {
        /// 2 a topic, 4 a broker, 8 a broker logger.
        resource_type: i8,
        resource_name: String,
        configuration_keys: Option<Vec<String>> = Some(Vec::new()),
    }
}

message! {
    DescribeConfigs:
    /// The configurations.
    pub struct DescribeConfigsResponse {
        throttle_time_ms: i32,
        results: Vec<DescribeConfigsResult>,
    }

    /// The configuration of one resource.
    pub struct DescribeConfigsResult {
        error_code: i16,
        error_message: Option<String>,
        resource_type: i8,
        resource_name: String,
        configs: Vec<DescribeConfigsResourceResult>,
    }

    /// A configuration value.
    pub struct DescribeConfigsResourceResult {
        name: String,
        value: Option<String>,
        read_only: bool,
        /// 1 topic, 2 broker at run time, 4 broker at start, 5 default.
        config_source: i8 = -1,
        is_sensitive: bool,
        synonyms: Vec<DescribeConfigsSynonym>,
        config_type: i8 [3.., ignorable],
        documentation: Option<String> [3.., ignorable],
    }

    /// A value that would hold if the ones before it were not set.
    pub struct DescribeConfigsSynonym {
        name: String,
        value: Option<String>,
        /// As `config_source` of the value.
        source: i8,
    }
}
