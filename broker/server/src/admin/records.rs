//! Deletion of records by raising a partition's log start offset.

use avouch_protocol::types::{Offset, PartitionIndex};
use tokio::sync::oneshot;

use super::{Admin, AdminError};

/// The offset in a request that means the high watermark.
const HIGH_WATERMARK: i64 = -1;

impl Admin {
    /// Raises the log start offset of a partition to `offset`, or to the high watermark if it is
    /// -1. Returns the new log start offset once it is durable.
    ///
    /// # Errors
    /// If the partition does not exist, its topic is internal or only compacted, the offset is out
    /// of range or the log fails.
    pub(crate) async fn delete_records(
        &self,
        topic: &str,
        index: i32,
        offset: i64,
    ) -> Result<Offset, AdminError> {
        let cluster = self.metadata.cluster();
        let topic = cluster.topic(topic).ok_or(AdminError::UnknownPartition)?;
        let partition = topic
            .partition(PartitionIndex(index))
            .ok_or(AdminError::UnknownPartition)?;
        if topic.is_internal() {
            return Err(AdminError::InternalTopic(topic.name().to_owned()));
        }
        if !topic.settings.deletes {
            return Err(AdminError::DeleteRecordsPolicy(topic.name().to_owned()));
        }
        let bounds = self.log.bounds(partition);
        let high_watermark = bounds.ok_or(AdminError::UnknownPartition)?.high_watermark;
        let log_start = match offset {
            HIGH_WATERMARK => high_watermark,
            0.. if Offset(offset) <= high_watermark => Offset(offset),
            _ => {
                return Err(AdminError::OffsetOutOfRange {
                    offset,
                    high_watermark,
                });
            }
        };
        let (done, raised) = oneshot::channel();
        self.log.set_log_start(
            partition,
            log_start,
            // The receiver is dropped when the client has disconnected.
            Box::new(move |raised| drop(done.send(raised))),
        );
        Ok(raised.await.map_err(|_| AdminError::LogClosed)??)
    }
}
