//! ListPartitionReassignments: returns the partitions that move to other brokers (KIP-455).

use crate::message::message;

message! {
    ListPartitionReassignments:
    /// The partitions requested; null requests all.
    pub struct ListPartitionReassignmentsRequest {
        timeout_ms: i32 = 60_000,
        topics: Option<Vec<ListPartitionReassignmentsTopics>>,
    }

    /// Partitions of one topic.
    pub struct ListPartitionReassignmentsTopics {
        name: String,
        partition_indexes: Vec<i32>,
    }
}

message! {
    ListPartitionReassignments:
    /// The partitions that are moving.
    pub struct ListPartitionReassignmentsResponse {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<String>,
        topics: Vec<OngoingTopicReassignment>,
    }

    /// Partitions of one topic.
    pub struct OngoingTopicReassignment {
        name: String,
        partitions: Vec<OngoingPartitionReassignment>,
    }

    /// The current, added and removed replicas of a partition.
    pub struct OngoingPartitionReassignment {
        partition_index: i32,
        replicas: Vec<i32>,
        adding_replicas: Vec<i32>,
        removing_replicas: Vec<i32>,
    }
}
