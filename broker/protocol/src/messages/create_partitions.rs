//! CreatePartitions: adds partitions to topics.

use crate::message::message;

// Version 1 equals 0. From version 3 on the broker can return THROTTLING_QUOTA_EXCEEDED; older
// clients wait for the throttle time instead (KIP-599).
message! {
    CreatePartitions:
    /// The topics.
    pub struct CreatePartitionsRequest {
        topics: Vec<CreatePartitionsTopic>,
        timeout_ms: i32,
        validate_only: bool,
    }

    /// A topic and its new total number of partitions.
    pub struct CreatePartitionsTopic {
        name: String,
        count: i32,
        assignments: Option<Vec<CreatePartitionsAssignment>> = Some(Vec::new()),
    }

    /// The replicas of one new partition.
    pub struct CreatePartitionsAssignment {
        broker_ids: Vec<i32>,
    }
}

message! {
    CreatePartitions:
    /// The results.
    pub struct CreatePartitionsResponse {
        throttle_time_ms: i32,
        results: Vec<CreatePartitionsTopicResult>,
    }

    /// The result for one topic.
    pub struct CreatePartitionsTopicResult {
        name: String,
        error_code: i16,
        error_message: Option<String>,
    }
}
