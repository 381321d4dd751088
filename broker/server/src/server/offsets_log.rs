//! Groups' records in the log: appended as batches of `__consumer_offsets`, read back at start.

use std::sync::{Arc, OnceLock};

use avouch_coordinator::group::{OffsetsLog, Replay, StoreDone, StoreFailed};
use avouch_log::{AppendBatch, AppendOutcome, Log, Origin, ReadError};
use avouch_protocol::batch::{BatchHeader, Codec, HEADER_BYTES};
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::compress::{Decompressor, Limits};
use avouch_protocol::records::RecordIter;
use avouch_protocol::types::{Offset, PartitionIndex, TopicId, TopicPartition};
use bytes::Bytes;
use tracing::{error, warn};

use super::clock::Clock;
use crate::metadata::{Metadata, cluster};

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

/// Replays `__consumer_offsets`, partition by partition in log order; nothing when there is no such
/// topic yet. What is damaged is passed over: the groups whose records stood there go on from older
/// ones, and all others from where they were.
///
/// # Errors
/// When the disk does not answer.
pub(super) async fn load(
    metadata: &Metadata,
    log: &Log,
    offsets_log: &Arc<TopicOffsetsLog>,
    limits: Limits,
    mut replay: Replay,
) -> Result<Replay, String> {
    let cluster = metadata.cluster();
    let Some(topic) = cluster.topic(cluster::OFFSETS_TOPIC) else {
        return Ok(replay);
    };
    offsets_log.open(topic.id());
    let (log, partitions) = (log.clone(), topic.partitions());
    let reading = tokio::task::spawn_blocking(move || {
        let mut inflater = Decompressor::new();
        for partition in partitions {
            replay_partition(&log, partition, &mut inflater, limits, &mut replay)
                .map_err(|error| format!("{partition}: {error}"))?;
        }
        Ok(replay)
    });
    reading.await.map_err(|error| error.to_string())?
}

fn replay_partition(
    log: &Log,
    partition: TopicPartition,
    inflater: &mut Decompressor,
    limits: Limits,
    replay: &mut Replay,
) -> Result<(), ReadError> {
    let Some(bounds) = log.bounds(partition) else {
        return Ok(());
    };
    let mut next = bounds.log_start;
    while next < bounds.high_watermark {
        let batches = match log.read(partition, next, READ_BYTES) {
            Ok(read) => read.batches,
            // The log has counted it and told where it is.
            Err(ReadError::Corrupt { damage }) if damage.to > next => {
                error!(%partition, "committed offsets and groups that stood there are lost");
                next = damage.to;
                continue;
            }
            Err(error) => return Err(error),
        };
        let before: Offset = next;
        for batch in &batches {
            match replay_batch(batch, inflater, limits, replay) {
                Ok(end) => next = end,
                Err(error) => {
                    warn!(%partition, offset = next.0, %error, "groups' records not read");
                    next = BatchHeader::parse(batch).map_or(next, |header| header.next_offset());
                }
            }
        }
        if next <= before {
            // What is left was given up by an operator.
            break;
        }
    }
    Ok(())
}

/// Replays the records of a batch; returns the offset behind it.
fn replay_batch(
    batch: &[u8],
    inflater: &mut Decompressor,
    limits: Limits,
    replay: &mut Replay,
) -> Result<Offset, Box<dyn std::error::Error + Send + Sync>> {
    let header = BatchHeader::parse(batch)?;
    let section = inflater.inflate(header.codec()?, &batch[HEADER_BYTES..], limits)?;
    for record in RecordIter::new(section, header.record_count) {
        let record = record?;
        replay.record(record.key.unwrap_or_default(), record.value);
    }
    Ok(header.next_offset())
}
