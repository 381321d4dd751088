//! AlterPartitionReassignments: moves partitions to other brokers (KIP-455).

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

    /// The new replicas of a partition; null cancels a reassignment.
    pub struct ReassignablePartition {
        partition_index: i32,
        replicas: Option<Vec<i32>>,
    }
}

message! {
    AlterPartitionReassignments:
    /// The results.
    pub struct AlterPartitionReassignmentsResponse {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<String>,
        responses: Vec<ReassignableTopicResponse>,
    }

    /// Results for one topic.
    pub struct ReassignableTopicResponse {
        name: String,
        partitions: Vec<ReassignablePartitionResponse>,
    }

    /// The result for one partition.
    pub struct ReassignablePartitionResponse {
        partition_index: i32,
        error_code: i16,
        error_message: Option<String>,
    }
}
