//! DescribeLogDirs (key 35), versions 1 to 4.
//!
//! Behavior:
//! * Returns the bytes of each partition's batches in the only log directory. Partitions have no
//!   lag and no future replica.
//!
//! Version notes:
//! * Version 4 returns the size of the file system and its usable bytes (KIP-827).

use std::sync::Arc;

use avouch_protocol::messages::describe_log_dirs::{
    DescribeLogDirsPartition, DescribeLogDirsRequest, DescribeLogDirsResponse,
    DescribeLogDirsResult, DescribeLogDirsTopic,
};

use super::Call;
use crate::admin::Admin;

/// A size that the system does not report.
const UNKNOWN_BYTES: i64 = -1;

pub(super) async fn handle(
    admin: Arc<Admin>,
    _call: Call,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let requested = request.topics.map(|topics| {
        let topics = topics.into_iter();
        let named = topics.map(|topic| (topic.topic, topic.partitions));
        named.collect::<Vec<_>>()
    });
    let dir = admin.describe_log_dir(requested.as_deref()).await;
    let topics = dir.topics.into_iter().map(|(name, sizes)| {
        let partitions =
            sizes.into_iter().map(
                |(partition_index, partition_size)| DescribeLogDirsPartition {
                    partition_index,
                    partition_size,
                    ..Default::default()
                },
            );
        DescribeLogDirsTopic {
            name,
            partitions: partitions.collect(),
        }
    });
    DescribeLogDirsResponse {
        results: vec![DescribeLogDirsResult {
            log_dir: dir.path,
            topics: topics.collect(),
            total_bytes: dir.space.map_or(UNKNOWN_BYTES, |space| space.total_bytes),
            usable_bytes: dir.space.map_or(UNKNOWN_BYTES, |space| space.usable_bytes),
            ..Default::default()
        }],
        ..Default::default()
    }
}
