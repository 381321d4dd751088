//! DescribeLogDirs: returns the size of partitions on disk.

use crate::message::message;

// Versions 2 and 3 add no field to the request. Version 4 adds the size of the disk (KIP-827).
message! {
    DescribeLogDirs:
    /// The partitions requested; null requests all.
    pub struct DescribeLogDirsRequest {
        topics: Option<Vec<DescribableLogDirTopic>> = Some(Vec::new()),
    }

    /// Partitions of one topic.
    pub struct DescribableLogDirTopic {
        topic: String,
        partitions: Vec<i32>,
    }
}

message! {
    DescribeLogDirs:
    /// The directories.
    pub struct DescribeLogDirsResponse {
        throttle_time_ms: i32,
        error_code: i16 [3.., ignorable],
        results: Vec<DescribeLogDirsResult>,
    }

    /// One directory.
    pub struct DescribeLogDirsResult {
        error_code: i16,
        log_dir: String,
        topics: Vec<DescribeLogDirsTopic>,
        total_bytes: i64 [4.., ignorable] = -1,
        usable_bytes: i64 [4.., ignorable] = -1,
    }

    /// One topic's partitions in a directory.
    pub struct DescribeLogDirsTopic {
        name: String,
        partitions: Vec<DescribeLogDirsPartition>,
    }

    /// A partition's bytes.
    pub struct DescribeLogDirsPartition {
        partition_index: i32,
        partition_size: i64,
        offset_lag: i64,
        is_future_key: bool,
    }
}
