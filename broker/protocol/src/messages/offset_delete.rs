//! OffsetDelete: deletes committed offsets of a group (KIP-496).

use crate::message::message;

message! {
    OffsetDelete:
    /// The offsets to delete.
    pub struct OffsetDeleteRequest {
        group_id: String,
        topics: Vec<OffsetDeleteRequestTopic>,
    }

    /// Offsets in one topic.
    pub struct OffsetDeleteRequestTopic {
        name: String,
        partitions: Vec<OffsetDeleteRequestPartition>,
    }

    /// The offset in one partition.
    pub struct OffsetDeleteRequestPartition {
        partition_index: i32,
    }
}

message! {
    OffsetDelete:
    /// The results.
    pub struct OffsetDeleteResponse {
        error_code: i16,
        throttle_time_ms: i32,
        topics: Vec<OffsetDeleteResponseTopic>,
    }

    /// Results for one topic.
    pub struct OffsetDeleteResponseTopic {
        name: String,
        partitions: Vec<OffsetDeleteResponsePartition>,
    }

    /// The result for one partition.
    pub struct OffsetDeleteResponsePartition {
        partition_index: i32,
        error_code: i16,
    }
}
