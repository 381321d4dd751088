//! Settings that a partition takes from its topic. The server sets them; the log does not store
//! them.

/// Settings of one partition, with Kafka's names and defaults.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PartitionSettings {
    /// `segment.bytes`: maximum size of a segment.
    pub segment_bytes: u64,
    /// `segment.ms`: maximum difference between the timestamps of the first batch and a later batch
    /// of a segment.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: maximum random time subtracted from `segment_ms`, so that segments are
    /// not all closed at once.
    pub segment_jitter_ms: i64,
    /// `flush.messages`: in mode `os`, number of unsynced records from which an append waits for a
    /// sync.
    pub flush_messages: i64,
    /// `retention.ms` if `cleanup.policy` contains `delete`.
    pub retention_ms: Option<i64>,
    /// `retention.bytes` if `cleanup.policy` contains `delete`.
    pub retention_bytes: Option<i64>,
    /// Set if `cleanup.policy` contains `compact`.
    pub compaction: Option<CompactionSettings>,
}

/// Compaction settings of a partition.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompactionSettings {
    /// `min.cleanable.dirty.ratio`: share of uncompacted bytes above which compaction runs.
    pub min_dirty_ratio: f64,
    /// `min.compaction.lag.ms`: segments with younger records are not compacted.
    pub min_lag_ms: i64,
    /// `max.compaction.lag.ms`: age of records from which compaction ignores the ratio.
    pub max_lag_ms: i64,
    /// `delete.retention.ms`: time that tombstones remain after they were first compacted.
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
