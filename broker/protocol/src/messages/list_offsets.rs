//! ListOffsets: the offset at a point in time, or at an end of the log.

use crate::message::message;

message! {
    ListOffsets:
    /// The times to look up.
    pub struct ListOffsetsRequest {
        replica_id: i32,
        /// 0 looks at all, 1 at committed transactions only.
        isolation_level: i8 [2..],
        topics: Vec<ListOffsetsTopic>,
    }

    /// Partitions of one topic to look up.
    pub struct ListOffsetsTopic {
        name: String,
        partitions: Vec<ListOffsetsPartition>,
    }

    /// The time to look up in one partition.
    pub struct ListOffsetsPartition {
        partition_index: i32,
        current_leader_epoch: i32 [4.., ignorable] = -1,
        /// -1 the end, -2 the start, -3 the greatest timestamp, or a time in ms.
        timestamp: i64,
    }
}

message! {
    ListOffsets:
    /// The offsets found.
    pub struct ListOffsetsResponse {
        throttle_time_ms: i32 [2.., ignorable],
        topics: Vec<ListOffsetsTopicResponse>,
    }

    /// Offsets found in one topic.
    pub struct ListOffsetsTopicResponse {
        name: String,
        partitions: Vec<ListOffsetsPartitionResponse>,
    }

    /// The offset found in one partition.
    pub struct ListOffsetsPartitionResponse {
        partition_index: i32,
        error_code: i16,
        timestamp: i64 = -1,
        offset: i64 = -1,
        leader_epoch: i32 [4..] = -1,
    }
}
