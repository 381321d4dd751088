//! OffsetDelete: forget offsets that a group committed (KIP-496).

use crate::message::message;

message! {
    OffsetDelete:
    /// The offsets to forget.
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
    /// The outcomes.
    pub struct OffsetDeleteResponse {
        error_code: i16,
        throttle_time_ms: i32,
        topics: Vec<OffsetDeleteResponseTopic>,
    }

    /// Outcomes for one topic.
    pub struct OffsetDeleteResponseTopic {
        name: String,
        partitions: Vec<OffsetDeleteResponsePartition>,
    }

    /// The outcome for one partition.
    pub struct OffsetDeleteResponsePartition {
        partition_index: i32,
        error_code: i16,
    }
}
