//! AlterReplicaLogDirs (key 34), versions 1 and 2 (KIP-113).
//!
//! Behavior:
//! * A move to the only log directory succeeds and changes nothing; others get LOG_DIR_NOT_FOUND.

use std::collections::BTreeMap;
use std::sync::Arc;

use avouch_protocol::messages::alter_replica_log_dirs::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};

use super::Call;
use crate::admin::Admin;
use crate::error::code_of;

pub(super) async fn handle(
    admin: Arc<Admin>,
    _call: Call,
    request: AlterReplicaLogDirsRequest,
) -> AlterReplicaLogDirsResponse {
    // The response lists topics once, even if the request has them under several directories.
    let mut topics: BTreeMap<String, Vec<AlterReplicaLogDirPartitionResult>> = BTreeMap::new();
    for dir in request.dirs {
        for topic in dir.topics {
            let partitions = topic.partitions.iter().map(|index| {
                let altered = admin.alter_replica_log_dir(&dir.path, &topic.name, *index);
                AlterReplicaLogDirPartitionResult {
                    partition_index: *index,
                    error_code: code_of(&altered),
                }
            });
            let partitions: Vec<_> = partitions.collect();
            topics.entry(topic.name).or_default().extend(partitions);
        }
    }
    let results =
        topics
            .into_iter()
            .map(|(topic_name, partitions)| AlterReplicaLogDirTopicResult {
                topic_name,
                partitions,
            });
    AlterReplicaLogDirsResponse {
        results: results.collect(),
        ..Default::default()
    }
}
