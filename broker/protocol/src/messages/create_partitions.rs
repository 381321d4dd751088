//! CreatePartitions: more partitions for a topic.

use crate::message::message;

message! {
    CreatePartitions:
    /// The topics to grow.
    pub struct CreatePartitionsRequest {
        topics: Vec<CreatePartitionsTopic>,
        timeout_ms: i32,
        validate_only: bool,
    }

    /// A topic and how many partitions it is to have in all.
    pub struct CreatePartitionsTopic {
        name: String,
        count: i32,
        assignments: Option<Vec<CreatePartitionsAssignment>> = Some(Vec::new()),
    }

    /// Where one new partition's replicas are to be.
    pub struct CreatePartitionsAssignment {
        broker_ids: Vec<i32>,
    }
}

message! {
    CreatePartitions:
    /// The outcomes.
    pub struct CreatePartitionsResponse {
        throttle_time_ms: i32,
        results: Vec<CreatePartitionsTopicResult>,
    }

    /// The outcome for one topic.
    pub struct CreatePartitionsTopicResult {
        name: String,
        error_code: i16,
        error_message: Option<String>,
    }
}
