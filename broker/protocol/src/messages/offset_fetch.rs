//! OffsetFetch: returns committed offsets; from version 8 on of several groups at once.

use crate::message::message;

// Version 4 equals 3. From version 9 on the broker can return STALE_MEMBER_EPOCH (KIP-848).
message! {
    OffsetFetch:
    /// The groups and partitions.
    pub struct OffsetFetchRequest {
        group_id: String [..=7],
        /// Null requests all partitions with an offset.
        topics: Option<Vec<OffsetFetchRequestTopic>> [..=7, null 2.., ignorable] = Some(Vec::new()),
        groups: Vec<OffsetFetchRequestGroup> [8..],
        /// If true, offsets in open transactions are UNSTABLE_OFFSET_COMMIT (KIP-447).
        require_stable: bool [7..],
    }

    /// Partitions of one topic, up to version 7.
    pub struct OffsetFetchRequestTopic {
        name: String,
        partition_indexes: Vec<i32>,
    }

    /// One group, from version 8 on.
    pub struct OffsetFetchRequestGroup {
        group_id: String,
        member_id: Option<String> [9.., ignorable],
        member_epoch: i32 [9.., ignorable] = -1,
        /// Null requests all partitions with an offset.
        topics: Option<Vec<OffsetFetchRequestTopics>> = Some(Vec::new()),
    }

    /// Partitions of one topic, from version 8 on.
    pub struct OffsetFetchRequestTopics {
        name: String,
        partition_indexes: Vec<i32>,
    }
}

message! {
    OffsetFetch:
    /// The committed offsets.
    pub struct OffsetFetchResponse {
        throttle_time_ms: i32 [3.., ignorable],
        topics: Vec<OffsetFetchResponseTopic> [..=7],
        error_code: i16 [2..=7, ignorable],
        groups: Vec<OffsetFetchResponseGroup> [8..],
    }

    /// Offsets in one topic, up to version 7.
    pub struct OffsetFetchResponseTopic {
        name: String,
        partitions: Vec<OffsetFetchResponsePartition>,
    }

    /// The offset in one partition, up to version 7.
    pub struct OffsetFetchResponsePartition {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 [5.., ignorable] = -1,
        metadata: Option<String>,
        error_code: i16,
    }

    /// Offsets of one group, from version 8 on.
    pub struct OffsetFetchResponseGroup {
        group_id: String,
        topics: Vec<OffsetFetchResponseTopics>,
        error_code: i16,
    }

    /// Offsets in one topic, from version 8 on.
    pub struct OffsetFetchResponseTopics {
        name: String,
        partitions: Vec<OffsetFetchResponsePartitions>,
    }

    /// The offset in one partition, from version 8 on.
    pub struct OffsetFetchResponsePartitions {
        partition_index: i32,
        committed_offset: i64,
        committed_leader_epoch: i32 = -1,
        metadata: Option<String>,
        error_code: i16,
    }
}
