//! ListOffsets: returns the offset for a timestamp, or the start or end of the log.

use crate::message::message;

// Version 3 equals 2. From version 5 on the broker can return OFFSET_NOT_AVAILABLE. Version 7
// allows the timestamp -3 (KIP-734), 8 allows -4 (KIP-405) and 9 allows -5 (KIP-1005).
message! {
    ListOffsets:
    /// The timestamps.
    pub struct ListOffsetsRequest {
        replica_id: i32,
        /// 0 includes all records, 1 committed transactions only.
        isolation_level: i8 [2..],
        topics: Vec<ListOffsetsTopic>,
        /// Time in ms that the broker may use for lookups in remote storage.
        timeout_ms: i32 [10.., ignorable],
    }

    /// Partitions of one topic.
    pub struct ListOffsetsTopic {
        name: String,
        partitions: Vec<ListOffsetsPartition>,
    }

    /// The timestamp in one partition.
    pub struct ListOffsetsPartition {
        partition_index: i32,
        current_leader_epoch: i32 [4.., ignorable] = -1,
        /// A time in ms, -1 for the end, -2 for the start, -3 for the maximum timestamp.
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
