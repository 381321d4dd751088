//! Idempotent producers of partitions.

use avouch_log::ProducerInfo;
use avouch_protocol::batch::BatchHeader;
use avouch_protocol::types::TimestampMs;

use super::{Admin, AdminError};

impl Admin {
    /// Returns the producers of a partition, sorted by id, each with the timestamp of its last
    /// batch, if that is not deleted.
    ///
    /// # Errors
    /// If the partition does not exist.
    pub(crate) async fn describe_producers(
        &self,
        topic: &str,
        index: i32,
    ) -> Result<Vec<(ProducerInfo, Option<TimestampMs>)>, AdminError> {
        let partition = self.metadata.cluster().partition(topic, index);
        let partition = partition.ok_or(AdminError::UnknownPartition)?;
        let log = self.log.clone();
        // Reading the batches may block for the disk.
        let described = tokio::task::spawn_blocking(move || {
            let timestamp = |producer: &ProducerInfo| {
                let read = log.read(partition, producer.last_offset, 0).ok()?;
                let header = BatchHeader::parse(read.batches.first()?).ok()?;
                // Compaction may have removed the batch; then the read returns a later one.
                (header.base_offset == producer.last_offset).then_some(header.max_timestamp)
            };
            let producers = log.producers(partition)?.into_iter();
            Some(
                producers
                    .map(|producer| (producer, timestamp(&producer)))
                    .collect(),
            )
        });
        let described = described.await.map_err(|_| AdminError::LogClosed)?;
        described.ok_or(AdminError::UnknownPartition)
    }
}
