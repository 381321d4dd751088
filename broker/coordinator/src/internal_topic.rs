//! An internal topic: coordinators append batches of records to it and replay it at startup.
//!
//! Does not interpret the records, and does not create the topic.

use std::fmt;
use std::sync::OnceLock;

use avouch_log::{AppendBatch, AppendOutcome, Log, Origin, ReadError};
use avouch_protocol::batch::{BatchHeader, Codec, HEADER_BYTES};
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::compress::{Decompressor, Limits};
use avouch_protocol::records::RecordIter;
use avouch_protocol::types::{Offset, PartitionIndex, TimestampMs, TopicId, TopicPartition};
use thiserror::Error;
use tracing::{error, warn};

use crate::shell::{KeyValue, RecordLog, StoreDone, StoreFailed};

/// Bytes that a replay reads at a time.
const READ_BYTES: usize = 1024 * 1024;

/// Returns the wall-clock time, which goes into the records' timestamps.
type WallClock = Box<dyn Fn() -> TimestampMs + Send + Sync>;

/// Receives a record: its key, and its value or `None` for a tombstone.
type Sink<'a> = dyn FnMut(&[u8], Option<&[u8]>) + 'a;

/// An internal topic over the log. Appends fail until [`InternalTopic::open`] names its id.
pub struct InternalTopic {
    log: Log,
    now: WallClock,
    id: OnceLock<TopicId>,
}

/// A partition of an internal topic that the disk could not read.
#[derive(Debug, Error)]
#[error("{partition}: {error}")]
pub struct ReplayError {
    /// The partition.
    pub partition: TopicPartition,
    /// The read that failed.
    #[source]
    pub error: ReadError,
}

impl InternalTopic {
    /// Returns a topic whose id is not known yet.
    pub fn new(log: Log, now: impl Fn() -> TimestampMs + Send + Sync + 'static) -> Self {
        Self {
            log,
            now: Box::new(now),
            id: OnceLock::new(),
        }
    }

    /// Sets the topic's id. The first call decides: an internal topic cannot be deleted.
    pub fn open(&self, id: TopicId) {
        self.id.get_or_init(|| id);
    }

    /// Passes every readable record of `partitions` to `sink`, partition by partition in offset
    /// order: the key, and the value or `None` for a tombstone. Corrupt ranges and batches are
    /// skipped and logged, so that what was stored around them stays available. Blocks.
    ///
    /// # Errors
    /// If the disk cannot read a partition.
    pub fn replay(
        &self,
        partitions: impl IntoIterator<Item = TopicPartition>,
        limits: Limits,
        sink: &mut Sink<'_>,
    ) -> Result<(), ReplayError> {
        let mut decompressor = Decompressor::new();
        for partition in partitions {
            self.replay_partition(partition, &mut decompressor, limits, sink)
                .map_err(|error| ReplayError { partition, error })?;
        }
        Ok(())
    }

    fn replay_partition(
        &self,
        partition: TopicPartition,
        decompressor: &mut Decompressor,
        limits: Limits,
        sink: &mut Sink<'_>,
    ) -> Result<(), ReadError> {
        let Some(bounds) = self.log.bounds(partition) else {
            return Ok(());
        };
        let mut next = bounds.log_start;
        while next < bounds.high_watermark {
            let batches = match self.log.read(partition, next, READ_BYTES) {
                Ok(read) => read.batches,
                // The log has already counted the range and logged where it is.
                Err(ReadError::Corrupt { range }) if range.to > next => {
                    error!(%partition, "records of an internal topic in a corrupt range are lost");
                    next = range.to;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let before = next;
            for batch in &batches {
                match replay_batch(batch, decompressor, limits, sink) {
                    Ok(end) => next = end,
                    Err(error) => {
                        warn!(%partition, offset = next.0, %error, "unreadable batch skipped");
                        // Without a readable header the offset stays, and the loop ends below.
                        next =
                            BatchHeader::parse(batch).map_or(next, |header| header.next_offset());
                    }
                }
            }
            // An operator has skipped everything up to the high watermark: no batch follows.
            if next <= before {
                break;
            }
        }
        Ok(())
    }
}

impl RecordLog for InternalTopic {
    fn append(&self, partition: PartitionIndex, records: Vec<KeyValue>, done: StoreDone) {
        let Some(topic) = self.id.get() else {
            return done(Err(StoreFailed));
        };
        let now = (self.now)();
        let mut builder = BatchBuilder::new(Codec::None);
        for (key, value) in &records {
            builder.push(Some(key), value.as_deref(), now, &[]);
        }
        let batch = AppendBatch {
            target: TopicPartition {
                topic: *topic,
                partition,
            },
            batch: builder.finish(),
            // Internal topics have no contract, so there is no schema id to check.
            tag: 0,
            append_time: None,
            guard: None,
            origin: Origin::Coordinator,
        };
        self.log.append(
            vec![batch],
            Box::new(move |outcomes| {
                let appended = matches!(outcomes.first(), Some(AppendOutcome::Appended { .. }));
                done(if appended { Ok(()) } else { Err(StoreFailed) });
            }),
        );
    }
}

impl fmt::Debug for InternalTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InternalTopic")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Passes the records of a batch to `sink`. Returns the offset after the batch.
fn replay_batch(
    batch: &[u8],
    decompressor: &mut Decompressor,
    limits: Limits,
    sink: &mut Sink<'_>,
) -> Result<Offset, Box<dyn std::error::Error + Send + Sync>> {
    let header = BatchHeader::parse(batch)?;
    let section = decompressor.decompress(header.codec()?, &batch[HEADER_BYTES..], limits)?;
    for record in RecordIter::new(section, header.record_count) {
        let record = record?;
        sink(record.key.unwrap_or_default(), record.value);
    }
    Ok(header.next_offset())
}
