//! ElectLeaders: elects the preferred leader of partitions, or any replica (KIP-460).

use crate::message::message;

message! {
    ElectLeaders:
    /// The partitions; null means all.
    pub struct ElectLeadersRequest {
        /// 0 the preferred leader, 1 any replica.
        election_type: i8 [1..],
        topic_partitions: Option<Vec<TopicPartitions>> = Some(Vec::new()),
        timeout_ms: i32 = 60_000,
    }

    /// Partitions of one topic.
    pub struct TopicPartitions {
        topic: String,
        partitions: Vec<i32>,
    }
}

message! {
    ElectLeaders:
    /// The results.
    pub struct ElectLeadersResponse {
        throttle_time_ms: i32,
        error_code: i16 [1..],
        replica_election_results: Vec<ReplicaElectionResult>,
    }

    /// Results for one topic.
    pub struct ReplicaElectionResult {
        topic: String,
        partition_result: Vec<PartitionResult>,
    }

    /// The result for one partition.
    pub struct PartitionResult {
        partition_id: i32,
        error_code: i16,
        error_message: Option<String>,
    }
}
