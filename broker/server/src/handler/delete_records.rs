//! DeleteRecords (key 21), versions 0 to 2.
//!
//! Behavior:
//! * Raises the log start offset of each partition; -1 means to the high watermark.
//! * Responds once the new offsets are durable.
//! * Topics whose `cleanup.policy` is not delete, and internal topics, are rejected.

use std::sync::Arc;

use avouch_protocol::messages::delete_records::{
    DeleteRecordsPartitionResult, DeleteRecordsRequest, DeleteRecordsResponse,
    DeleteRecordsTopicResult,
};
use futures_util::future::join_all;

use super::Call;
use crate::admin::Admin;
use crate::error::code_of;

pub(super) async fn handle(
    admin: Arc<Admin>,
    _call: Call,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let admin = &admin;
    // All partitions at once, so that they share a sync of the log.
    let topics = request.topics.into_iter().map(|topic| async move {
        let name = topic.name.as_str();
        let partitions = topic.partitions.into_iter().map(|partition| async move {
            let index = partition.partition_index;
            let deleted = admin.delete_records(name, index, partition.offset).await;
            DeleteRecordsPartitionResult {
                partition_index: index,
                low_watermark: deleted.as_ref().map_or(-1, |log_start| log_start.0),
                error_code: code_of(&deleted),
            }
        });
        let partitions = join_all(partitions).await;
        DeleteRecordsTopicResult {
            partitions,
            name: topic.name,
        }
    });
    DeleteRecordsResponse {
        topics: join_all(topics).await,
        ..Default::default()
    }
}
