//! Groups' records in the log: appended as batches of `__consumer_offsets`, read back at start.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::clock::Clock;
use crate::group::{OffsetsLog, StoreDone, StoreFailed};
use crate::log::{AppendBatch, AppendOutcome, Log, Origin};
use crate::metadata::{Metadata, cluster};
use crate::types::{Offset, PartitionIndex, TopicId, TopicPartition};
use crate::wire::batch::{BatchHeader, Codec, HEADER_BYTES};
use crate::wire::builder::BatchBuilder;
use crate::wire::compress::{Decompressor, Limits};
use crate::wire::records::RecordIter;

const READ_BYTES: usize = 1024 * 1024;

/// A record of `__consumer_offsets`: its key and its value, `None` for a tombstone.
type OffsetsRecord = (Bytes, Option<Bytes>);

/// The log as the coordinator sees it.
#[derive(Debug)]
pub(super) struct TopicOffsetsLog {
    log: Log,
    clock: Clock,
    /// Unset until the topic exists; appends fail until then.
    topic: OnceLock<TopicId>,
}

impl TopicOffsetsLog {
    pub(super) fn new(log: Log, clock: Clock) -> Self {
        Self {
            log,
            clock,
            topic: OnceLock::new(),
        }
    }

    /// Says which topic to append to, once and for all: it cannot be deleted.
    pub(super) fn open(&self, topic: TopicId) {
        self.topic.get_or_init(|| topic);
    }
}

impl OffsetsLog for TopicOffsetsLog {
    fn append(&self, partition: PartitionIndex, records: Vec<OffsetsRecord>, done: StoreDone) {
        let Some(topic) = self.topic.get() else {
            return done(Err(StoreFailed));
        };
        let now = self.clock.now();
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

/// Every record of `__consumer_offsets`, partition by partition in log order; none when there is no
/// such topic yet.
pub(super) async fn load(
    metadata: &Metadata,
    log: &Log,
    offsets_log: &Arc<TopicOffsetsLog>,
    limits: Limits,
) -> Result<Vec<OffsetsRecord>, String> {
    let cluster = metadata.cluster();
    let Some(topic) = cluster.topic(cluster::OFFSETS_TOPIC) else {
        return Ok(Vec::new());
    };
    offsets_log.open(topic.id());
    let (log, partitions) = (log.clone(), topic.partitions());
    let reading = tokio::task::spawn_blocking(move || {
        let mut records = Vec::new();
        for partition in partitions {
            read_partition(&log, partition, limits, &mut records)
                .map_err(|error| format!("{partition}: {error}"))?;
        }
        Ok(records)
    });
    reading.await.map_err(|error| error.to_string())?
}

fn read_partition(
    log: &Log,
    partition: TopicPartition,
    limits: Limits,
    records: &mut Vec<OffsetsRecord>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let Some(bounds) = log.bounds(partition) else {
        return Ok(());
    };
    let mut inflater = Decompressor::new();
    let mut next = bounds.log_start;
    while next < bounds.high_watermark {
        let read = log.read(partition, next, READ_BYTES)?;
        let before: Offset = next;
        for batch in &read.batches {
            let header = BatchHeader::parse(batch)?;
            let section = inflater.inflate(header.codec()?, &batch[HEADER_BYTES..], limits)?;
            for record in RecordIter::new(section, header.record_count) {
                let record = record?;
                let key = Bytes::copy_from_slice(record.key.unwrap_or_default());
                records.push((key, record.value.map(Bytes::copy_from_slice)));
            }
            next = header.next_offset();
        }
        if next <= before {
            return Err(format!("nothing readable at offset {before}").into());
        }
    }
    Ok(())
}
