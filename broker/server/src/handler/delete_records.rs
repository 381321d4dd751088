//! DeleteRecords (key 21), versions 0 to 2: raises the log start offset, -1 to the high watermark.
//!
//! Answers once that is durable. Topics whose records only go by compaction refuse it, as do the
//! broker's own.

use std::sync::Arc;

use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::delete_records::{
    DeleteRecordsPartition, DeleteRecordsPartitionResult, DeleteRecordsRequest,
    DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use avouch_protocol::types::{Offset, PartitionIndex};
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::Call;
use crate::error::log_error;
use crate::metadata::Topic;
use crate::node::Node;

const HIGH_WATERMARK: i64 = -1;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: DeleteRecordsRequest,
) -> DeleteRecordsResponse {
    let cluster = node.metadata.cluster();
    let topics = request.topics.into_iter().map(|topic| {
        let found = cluster.topic(&topic.name).cloned();
        let node = &node;
        async move {
            let partitions = topic.partitions.iter();
            let deleted = partitions.map(|asked| delete(node, found.as_deref(), asked));
            DeleteRecordsTopicResult {
                partitions: join_all(deleted).await,
                name: topic.name,
            }
        }
    });
    DeleteRecordsResponse {
        topics: join_all(topics).await,
        ..Default::default()
    }
}

async fn delete(
    node: &Node,
    topic: Option<&Topic>,
    asked: &DeleteRecordsPartition,
) -> DeleteRecordsPartitionResult {
    let (low_watermark, error) = match raise(node, topic, asked).await {
        Ok(log_start) => (log_start.0, ErrorCode::None),
        Err(error) => (-1, error),
    };
    DeleteRecordsPartitionResult {
        partition_index: asked.partition_index,
        low_watermark,
        error_code: error.code(),
    }
}

async fn raise(
    node: &Node,
    topic: Option<&Topic>,
    asked: &DeleteRecordsPartition,
) -> Result<Offset, ErrorCode> {
    let topic = topic.ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let target = topic
        .partition(PartitionIndex(asked.partition_index))
        .ok_or(ErrorCode::UnknownTopicOrPartition)?;
    if topic.is_internal() {
        return Err(ErrorCode::InvalidTopicException);
    }
    if !topic.settings.deletes {
        return Err(ErrorCode::PolicyViolation);
    }
    let bounds = node
        .log
        .bounds(target)
        .ok_or(ErrorCode::UnknownTopicOrPartition)?;
    let offset = match asked.offset {
        HIGH_WATERMARK => bounds.high_watermark,
        offset @ 0.. if Offset(offset) <= bounds.high_watermark => Offset(offset),
        _ => return Err(ErrorCode::OffsetOutOfRange),
    };
    let (done, raised) = oneshot::channel();
    node.log.set_log_start(
        target,
        offset,
        // Whoever asked may be gone.
        Box::new(move |raised| drop(done.send(raised))),
    );
    match raised.await {
        Ok(raised) => raised.map_err(|error| log_error(&error)),
        Err(_) => Err(ErrorCode::KafkaStorageError),
    }
}
