//! DescribeConfigs: returns configs and their sources.

use crate::message::message;

// Version 2 equals 1.
message! {
    DescribeConfigs:
    /// The resources to describe.
    pub struct DescribeConfigsRequest {
        resources: Vec<DescribeConfigsResource>,
        include_synonyms: bool,
        include_documentation: bool [3..],
    }

    /// A resource and the names of its configs; null requests all.
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
        /// 1 topic, 2 dynamic broker config, 4 static broker config, 5 default.
        config_source: i8 = -1,
        is_sensitive: bool,
        synonyms: Vec<DescribeConfigsSynonym>,
        config_type: i8 [3.., ignorable],
        documentation: Option<String> [3.., ignorable],
    }

    /// A value that is effective if the ones before it are not set.
    pub struct DescribeConfigsSynonym {
        name: String,
        value: Option<String>,
        /// As `config_source` of the result.
        source: i8,
    }
}
