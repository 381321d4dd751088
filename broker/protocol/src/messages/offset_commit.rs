//! OffsetCommit: stores the committed offsets of a group.

use crate::message::message;

// Version 4 equals 3. From version 9 on members of consumer groups send their epoch instead of a
// generation, and the broker can return STALE_MEMBER_EPOCH (KIP-848).
message! {
    OffsetCommit:
    /// Offsets to commit for a group.
    pub struct OffsetCommitRequest {
        group_id: String,
        /// -1 for a commit without a member.
        generation_id_or_member_epoch: i32 = -1,
        member_id: String,
        group_instance_id: Option<String> [7..],
        retention_time_ms: i64 [..=4, ignorable] = -1,
        topics: Vec<OffsetCommitRequestTopic>,
    }

    /// Offsets in one topic.
    pub struct OffsetCommitRequestTopic {
        name: String,
        partitions: Vec<OffsetCommitRequestPartition>,
    }

    /// The offset in one partition.
    pub struct OffsetCommitRequestPartition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [6.., ignorable] = -1,
        committed_metadata: Option<String>,
    }
}

message! {
    OffsetCommit:
    /// The results.
    pub struct OffsetCommitResponse {
        throttle_time_ms: i32 [3.., ignorable],
        topics: Vec<OffsetCommitResponseTopic>,
    }

    /// Results for one topic.
    pub struct OffsetCommitResponseTopic {
        name: String,
        partitions: Vec<OffsetCommitResponsePartition>,
    }

    /// The result for one partition.
    pub struct OffsetCommitResponsePartition {
        partition_index: i32,
        error_code: i16,
    }
}
