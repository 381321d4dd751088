//! AlterReplicaLogDirs: moves replicas to other log directories of their broker (KIP-113).

use crate::message::message;

message! {
    AlterReplicaLogDirs:
    /// The log directories with the replicas to move to them.
    pub struct AlterReplicaLogDirsRequest {
        dirs: Vec<AlterReplicaLogDir>,
    }

    /// A log directory.
    pub struct AlterReplicaLogDir {
        path: String,
        topics: Vec<AlterReplicaLogDirTopic>,
    }

    /// The partitions of a topic.
    pub struct AlterReplicaLogDirTopic {
        name: String,
        partitions: Vec<i32>,
    }
}

message! {
    AlterReplicaLogDirs:
    /// The results.
    pub struct AlterReplicaLogDirsResponse {
        throttle_time_ms: i32,
        results: Vec<AlterReplicaLogDirTopicResult>,
    }

    /// The results of a topic.
    pub struct AlterReplicaLogDirTopicResult {
        topic_name: String,
        partitions: Vec<AlterReplicaLogDirPartitionResult>,
    }

    /// The result of a partition.
    pub struct AlterReplicaLogDirPartitionResult {
        partition_index: i32,
        error_code: i16,
    }
}
