//! What a partition's topic says about its data: plain values, set by the server whenever they
//! change. Not on disk here; the topic's configs are.

/// Settings of one partition. Kafka's names and defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartitionSettings {
    /// `segment.bytes`: a segment is closed before it grows beyond this.
    pub segment_bytes: u64,
    /// `segment.ms`: a segment is closed before a batch whose timestamp is further than this from
    /// that of its first.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: up to this much of `segment_ms` is taken off, another part for each
    /// segment, so that not all are closed at once.
    pub segment_jitter_ms: i64,
    /// `flush.messages`: in mode `os`, appends wait for a sync once this many records did not.
    pub flush_messages: i64,
    /// `retention.ms` where `cleanup.policy` has `delete`.
    pub retention_ms: Option<i64>,
    /// `retention.bytes` where `cleanup.policy` has `delete`.
    pub retention_bytes: Option<i64>,
    /// Where `cleanup.policy` has `compact`.
    pub compaction: Option<CompactionSettings>,
}

/// How a compacted partition is compacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompactionSettings {
    /// `min.cleanable.dirty.ratio`: it waits until more than this share of the bytes is new.
    pub min_dirty_ratio: f64,
    /// `min.compaction.lag.ms`: segments with younger records are left alone.
    pub min_lag_ms: i64,
    /// `max.compaction.lag.ms`: records older than this do not wait for the ratio.
    pub max_lag_ms: i64,
    /// `delete.retention.ms`: how long tombstones stay after the first compaction that saw them.
    pub delete_retention_ms: i64,
}

impl Default for PartitionSettings {
    fn default() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: 7 * 24 * 3_600_000,
            segment_jitter_ms: 0,
            flush_messages: i64::MAX,
            retention_ms: None,
            retention_bytes: None,
            compaction: None,
        }
    }
}

impl Default for CompactionSettings {
    fn default() -> Self {
        Self {
            min_dirty_ratio: 0.5,
            min_lag_ms: 0,
            max_lag_ms: i64::MAX,
            delete_retention_ms: 24 * 3_600_000,
        }
    }
}
