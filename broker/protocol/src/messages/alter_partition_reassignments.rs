//! AlterPartitionReassignments: move partitions to other brokers (KIP-455).

use crate::message::message;

message! {
    AlterPartitionReassignments:
    /// The partitions to move.
    pub struct AlterPartitionReassignmentsRequest {
        timeout_ms: i32 = 60_000,
        topics: Vec<ReassignableTopic>,
    }

    /// Partitions of one topic.
    pub struct ReassignableTopic {
        name: String,
        partitions: Vec<ReassignablePartition>,
    }

    /// Where a partition is to be; null ends a move under way.
    pub struct ReassignablePartition {
        partition_index: i32,
        replicas: Option<Vec<i32>>,
    }
}

message! {
    AlterPartitionReassignments:
    /// The outcomes.
    pub struct AlterPartitionReassignmentsResponse {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<String>,
        responses: Vec<ReassignableTopicResponse>,
    }

    /// Outcomes for one topic.
    pub struct ReassignableTopicResponse {
        name: String,
        partitions: Vec<ReassignablePartitionResponse>,
    }

    /// The outcome for one partition.
    pub struct ReassignablePartitionResponse {
        partition_index: i32,
        error_code: i16,
        error_message: Option<String>,
    }
}
