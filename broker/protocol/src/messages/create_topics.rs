//! CreateTopics: creates topics with partitions and configs.

use uuid::Uuid;

use crate::message::message;

// Version 3 equals 2. Version 4 allows -1 for partitions and replicas (KIP-464). From version 6
// on the broker can return THROTTLING_QUOTA_EXCEEDED (KIP-599).
message! {
    CreateTopics:
    /// The topics to create.
    pub struct CreateTopicsRequest {
        topics: Vec<CreatableTopic>,
        timeout_ms: i32 = 60000,
        validate_only: bool,
    }

    /// A topic to create; -1 is the default number of partitions or replicas.
    pub struct CreatableTopic {
        name: String,
        num_partitions: i32,
        replication_factor: i16,
        assignments: Vec<CreatableReplicaAssignment>,
        configs: Vec<CreatableTopicConfig>,
    }

    /// The replicas of one partition.
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

    /// The result for one topic.
    pub struct CreatableTopicResult {
        name: String,
        topic_id: Uuid [7.., ignorable],
        error_code: i16,
        error_message: Option<String>,
        topic_config_error_code: i16 [5.., tag 0, ignorable],
        num_partitions: i32 [5.., ignorable] = -1,
        replication_factor: i16 [5.., ignorable] = -1,
        /// Null if the client is not authorized to read them.
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
