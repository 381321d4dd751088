//! OffsetCommit: where a group stands.

use crate::message::message;

message! {
    OffsetCommit:
    /// Offsets to commit for a group.
    pub struct OffsetCommitRequest {
        group_id: String,
        /// -1 commits without being a member.
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
    /// What was committed.
    pub struct OffsetCommitResponse {
        throttle_time_ms: i32 [3.., ignorable],
        topics: Vec<OffsetCommitResponseTopic>,
    }

    /// Outcomes for one topic.
    pub struct OffsetCommitResponseTopic {
        name: String,
        partitions: Vec<OffsetCommitResponsePartition>,
    }

    /// The outcome for one partition.
    pub struct OffsetCommitResponsePartition {
        partition_index: i32,
        error_code: i16,
    }
}
