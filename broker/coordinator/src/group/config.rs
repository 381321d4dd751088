//! Settings of the group coordinator.

/// Memory in bytes that is counted for each member and each issued member id, in addition to
/// strings.
pub(super) const MEMBER_BYTES: usize = 256;

/// Memory in bytes that is counted for each committed offset and each topic of a group with one, in
/// addition to strings.
pub(super) const OFFSET_BYTES: usize = 128;

/// Settings of all groups, named as in Kafka where Kafka has them.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`, default 6 s: minimum session timeout of a member.
    pub session_timeout_min_ms: i32,
    /// `group.max.session.timeout.ms`, default 30 min: maximum session timeout. The partitions of a
    /// crashed member are unassigned after this time.
    pub session_timeout_max_ms: i32,
    /// `group.initial.rebalance.delay.ms`, default 0: time that an empty group waits for members
    /// before its first generation. A higher value avoids rebalances if many members start
    /// together, and delays the first start.
    pub initial_rebalance_delay_ms: i32,
    /// Maximum wait of a new member's JoinGroup, default 5 min, as its client can be gone
    /// unnoticed.
    pub new_member_join_timeout_ms: i32,
    /// `group.max.size`, default 500: maximum of members and issued member ids in a group.
    pub members_max: usize,
    /// Maximum number of groups, default 10,000.
    pub groups_max: usize,
    /// Maximum size of a member's metadata and names in JoinGroup, default 64 KiB.
    pub metadata_bytes_max: usize,
    /// Maximum memory of the metadata and assignments of all members of all groups, and 256 bytes
    /// for each member, default 64 MiB.
    pub members_bytes_max: usize,
    /// Maximum size of all assignments in one SyncGroup, default 4 MiB. They become one record.
    pub assignments_bytes_max: usize,
    /// `offset.metadata.max.bytes`, default 4,096: maximum size of the metadata of an offset.
    pub offset_metadata_bytes_max: usize,
    /// Maximum memory of the committed offsets of a group, their metadata, the names of its topics,
    /// and 128 bytes for each offset and topic. Default 16 MiB.
    pub group_offsets_bytes_max: usize,
    /// Maximum memory of the committed offsets of all groups, counted in the same way, default 128
    /// MiB.
    pub offsets_bytes_max: usize,
    /// `offsets.retention.minutes` in ms, default 7 days: counted from the time when the group
    /// became empty, and from the commit for offsets of clients without a group (KIP-211).
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`, default 10 min: interval between checks of all
    /// offsets and empty groups.
    pub retention_check_interval_ms: i64,
    /// `offsets.topic.num.partitions`, default 50. Must not change after the topic is created,
    /// because it determines the partition of a group's records.
    pub offsets_partitions: i32,
    /// `offsets.topic.segment.bytes`, default 1 MiB (Kafka: 100 MiB). Effective when the topic is
    /// created. The newest segment is never compacted, so a start reads up to this many bytes of
    /// each partition, and twice the live records.
    pub offsets_segment_bytes: i32,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            session_timeout_min_ms: 6_000,
            session_timeout_max_ms: 1_800_000,
            initial_rebalance_delay_ms: 0,
            new_member_join_timeout_ms: 300_000,
            members_max: 500,
            groups_max: 10_000,
            metadata_bytes_max: 64 * 1024,
            members_bytes_max: 64 * 1024 * 1024,
            assignments_bytes_max: 4 * 1024 * 1024,
            offset_metadata_bytes_max: 4_096,
            group_offsets_bytes_max: 16 * 1024 * 1024,
            offsets_bytes_max: 128 * 1024 * 1024,
            offsets_retention_ms: 7 * 24 * 3_600 * 1_000,
            retention_check_interval_ms: 600_000,
            offsets_partitions: 50,
            offsets_segment_bytes: 1 << 20,
        }
    }
}
