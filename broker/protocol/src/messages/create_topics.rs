//! CreateTopics: new topics with partitions and configuration.

use uuid::Uuid;

use crate::message::message;

message! {
    CreateTopics:
    /// The topics to create.
    pub struct CreateTopicsRequest {
        topics: Vec<CreatableTopic>,
        timeout_ms: i32 = 60000,
        validate_only: bool,
    }

    /// A topic to create; -1 asks for the default number of partitions or replicas.
    pub struct CreatableTopic {
        name: String,
        num_partitions: i32,
        replication_factor: i16,
        assignments: Vec<CreatableReplicaAssignment>,
        configs: Vec<CreatableTopicConfig>,
    }

    /// Where one partition's replicas are to be.
    pub struct CreatableReplicaAssignment {
        partition_index: i32,
        broker_ids: Vec<i32>,
    }

    /// A configuration value.
    pub struct CreatableTopicConfig {
        name: String,
        value: Option<String>,
    }
}

message! {
    CreateTopics:
    /// The topics created.
    pub struct CreateTopicsResponse {
        throttle_time_ms: i32,
        topics: Vec<CreatableTopicResult>,
    }

    /// The outcome for one topic.
    pub struct CreatableTopicResult {
        name: String,
        topic_id: Uuid [7.., ignorable],
        error_code: i16,
        error_message: Option<String>,
        topic_config_error_code: i16 [5.., tag 0, ignorable],
        num_partitions: i32 [5.., ignorable] = -1,
        replication_factor: i16 [5.., ignorable] = -1,
        /// Null when the caller may not see them.
        configs: Option<Vec<CreatableTopicConfigs>> [5.., ignorable] = Some(Vec::new()),
    }

    /// A configuration value of the new topic.
    pub struct CreatableTopicConfigs {
        name: String,
        value: Option<String>,
        read_only: bool,
        /// As in DescribeConfigs.
        config_source: i8 = -1,
        is_sensitive: bool,
    }
}
