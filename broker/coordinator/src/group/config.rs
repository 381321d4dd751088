//! The limits and delays of the coordinator. Plain data; nothing here decides.

/// What a member counts for besides its texts, and an id that was given out, in bytes.
pub(super) const MEMBER_BYTES: usize = 256;

/// Settings of all groups. Names are Kafka's where Kafka has them.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    /// `group.min.session.timeout.ms`, 6 s: the shortest session a member may ask for.
    pub session_timeout_min_ms: i32,
    /// `group.max.session.timeout.ms`, 30 min: the longest. A dead member holds its partitions
    /// that long.
    pub session_timeout_max_ms: i32,
    /// `group.initial.rebalance.delay.ms`, 0: how long an empty group gathers members before its
    /// first generation. Raising it spares rebalances when many members start at once, and delays
    /// each first start by as much.
    pub initial_rebalance_delay_ms: i32,
    /// How long a new member's JoinGroup may stay parked, 5 min. Its client may be gone unnoticed.
    pub new_member_join_timeout_ms: i32,
    /// `group.max.size`, 500: members and members to be of one group. Memory is this times
    /// `metadata_bytes_max`.
    pub members_max: usize,
    /// Groups there may be, 10,000.
    pub groups_max: usize,
    /// Bytes of what one member sends about itself in JoinGroup, names included, 64 KiB.
    pub metadata_bytes_max: usize,
    /// Bytes of what all members of all groups say about themselves and have been assigned, with
    /// 256 for each member, 64 MiB. Raising it costs as much memory.
    pub members_bytes_max: usize,
    /// Bytes of all assignments that a leader sends in one SyncGroup, 4 MiB. They become one
    /// record.
    pub assignments_bytes_max: usize,
    /// `offset.metadata.max.bytes`, 4,096: the text beside a committed offset.
    pub offset_metadata_bytes_max: usize,
    /// `offsets.retention.minutes` in ms, 7 days, counted from when the group became empty, for
    /// offsets without a group's protocol from their commit (KIP-211).
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`, 10 min: how often offsets and empty groups are looked
    /// at. Each look walks all of them.
    pub retention_check_interval_ms: i64,
    /// `offsets.topic.num.partitions`, 50. Fixed once the topic exists: it says where a group's
    /// records are.
    pub offsets_partitions: i32,
    /// `offsets.topic.segment.bytes`, 1 MiB where Kafka has 100: the newest segment is never
    /// compacted, so a start reads up to this much of each partition beside twice what is live.
    /// Counts when the topic is made.
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
            offsets_retention_ms: 7 * 24 * 3_600 * 1_000,
            retention_check_interval_ms: 600_000,
            offsets_partitions: 50,
            offsets_segment_bytes: 1 << 20,
        }
    }
}
