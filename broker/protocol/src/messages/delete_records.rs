//! DeleteRecords: raises the log start offset.

use crate::message::message;

// Version 1 equals 0.
message! {
    DeleteRecords:
    /// The offsets before which records are deleted.
    pub struct DeleteRecordsRequest {
        topics: Vec<DeleteRecordsTopic>,
        timeout_ms: i32,
    }

    /// Offsets in one topic.
    pub struct DeleteRecordsTopic {
        name: String,
        partitions: Vec<DeleteRecordsPartition>,
    }

    /// The offset in one partition; -1 is the high watermark.
    pub struct DeleteRecordsPartition {
        partition_index: i32,
        offset: i64,
    }
}

message! {
    DeleteRecords:
    /// The new log start offsets.
    pub struct DeleteRecordsResponse {
        throttle_time_ms: i32,
        topics: Vec<DeleteRecordsTopicResult>,
    }

    /// Results for one topic.
    pub struct DeleteRecordsTopicResult {
        name: String,
        partitions: Vec<DeleteRecordsPartitionResult>,
    }

    /// The result for one partition.
    pub struct DeleteRecordsPartitionResult {
        partition_index: i32,
        low_watermark: i64,
        error_code: i16,
    }
}
