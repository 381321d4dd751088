//! OffsetForLeaderEpoch: returns the end offset of a leader epoch (KIP-320).

use crate::message::message;

message! {
    OffsetForLeaderEpoch:
    /// The epochs.
    pub struct OffsetForLeaderEpochRequest {
        /// The id of a follower, -1 for a consumer.
        replica_id: i32 [3.., ignorable] = -2,
        topics: Vec<OffsetForLeaderTopic>,
    }

    /// Epochs in one topic.
    pub struct OffsetForLeaderTopic {
        topic: String,
        partitions: Vec<OffsetForLeaderPartition>,
    }

    /// The epoch in one partition.
    pub struct OffsetForLeaderPartition {
        partition: i32,
        current_leader_epoch: i32 = -1,
        leader_epoch: i32,
    }
}

message! {
    OffsetForLeaderEpoch:
    /// The end offsets.
    pub struct OffsetForLeaderEpochResponse {
        throttle_time_ms: i32,
        topics: Vec<OffsetForLeaderTopicResult>,
    }

    /// End offsets in one topic.
    pub struct OffsetForLeaderTopicResult {
        topic: String,
        partitions: Vec<EpochEndOffset>,
    }

    /// The end offset of an epoch.
    pub struct EpochEndOffset {
        error_code: i16,
        partition: i32,
        leader_epoch: i32 = -1,
        end_offset: i64 = -1,
    }
}
