//! OffsetForLeaderEpoch (key 23), versions 2 to 4 (KIP-320).
//!
//! Behavior:
//! * Returns the offset after the last record of an epoch. Consumers detect by it that records that
//!   they read were deleted.
//! * Batches contain their epochs, which never decrease along a partition. A binary search finds
//!   the end of one with few reads.

use std::sync::Arc;

use avouch_log::{Bounds, Log, ReadError};
use avouch_protocol::batch::BatchHeader;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition, OffsetForLeaderTopicResult,
};
use avouch_protocol::types::{LeaderEpoch, Offset, TopicPartition};

use super::{Call, check_leader_epoch};
use crate::error::{KafkaError as _, RequestError};
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let cluster = node.metadata.cluster();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let end = match cluster.partition(&topic.topic, partition.partition) {
                Some(target) => find(&node, target, &partition).await,
                None => Err(RequestError::UnknownPartition.into()),
            };
            partitions.push(response(partition.partition, end));
        }
        topics.push(OffsetForLeaderTopicResult {
            topic: topic.topic,
            partitions,
        });
    }
    OffsetForLeaderEpochResponse {
        topics,
        ..Default::default()
    }
}

/// An epoch, and the offset after its last record.
type End = (LeaderEpoch, Offset);

async fn find(
    node: &Node,
    target: TopicPartition,
    partition: &OffsetForLeaderPartition,
) -> Result<Option<End>, ErrorCode> {
    let bounds = node.log.bounds(target);
    let bounds = bounds.ok_or(RequestError::UnknownPartition)?;
    check_leader_epoch(partition.current_leader_epoch, &bounds)?;
    let epoch = LeaderEpoch(partition.leader_epoch);
    if epoch.0 < 0 || epoch > bounds.leader_epoch {
        return Ok(None);
    }
    if epoch == bounds.leader_epoch {
        return Ok(Some((epoch, bounds.high_watermark)));
    }
    let log = node.log.clone();
    // The reads may block for the disk.
    let search = tokio::task::spawn_blocking(move || {
        end_of_epoch(epoch, bounds, |offset| batch_at(&log, target, offset))
    });
    let end = search.await.map_err(|_| RequestError::Internal)?;
    end.map(Some).map_err(|error| error.error_code())
}

/// Epoch and offsets of a batch.
#[derive(Clone, Copy, Debug)]
struct Batch {
    base: Offset,
    /// The offset after the batch.
    next: Offset,
    epoch: LeaderEpoch,
}

/// Returns the highest epoch up to `epoch` that has batches, and the base offset of the first batch
/// of a later one. If no epoch up to it has batches, returns the epoch itself and the base offset
/// of the first batch, as Kafka does.
fn end_of_epoch(
    epoch: LeaderEpoch,
    bounds: Bounds,
    batch_at: impl Fn(Offset) -> Result<Option<Batch>, ReadError>,
) -> Result<End, ReadError> {
    // Batches before `from` have epochs up to `epoch`, batches from `to` on have later ones.
    let (mut from, mut to) = (bounds.log_start, bounds.high_watermark);
    let (mut last, mut end) = (epoch, bounds.high_watermark);
    while from < to {
        let middle = Offset(from.0 + (to.0 - from.0) / 2);
        match batch_at(middle)? {
            Some(batch) if batch.epoch <= epoch => {
                last = batch.epoch;
                // The batch may end before `middle` + 1 if it is followed by a gap.
                from = batch.next.max(middle.plus(1));
            }
            Some(later) => {
                end = later.base.max(bounds.log_start);
                to = later.base.min(middle);
            }
            None => to = middle,
        }
    }
    Ok((last, end))
}

/// Returns the batch that contains `offset`, or the first one after it. Skips corrupt ranges.
fn batch_at(log: &Log, target: TopicPartition, offset: Offset) -> Result<Option<Batch>, ReadError> {
    let mut offset = offset;
    loop {
        match log.read(target, offset, 0) {
            Ok(read) => {
                let header = read.batches.first();
                let header = header.and_then(|batch| BatchHeader::parse(batch).ok());
                return Ok(header.map(|header| Batch {
                    base: header.base_offset,
                    next: header.next_offset(),
                    epoch: header.leader_epoch,
                }));
            }
            Err(ReadError::Corrupt { range }) if range.to > offset => offset = range.to,
            Err(error) => return Err(error),
        }
    }
}

fn response(partition: i32, end: Result<Option<End>, ErrorCode>) -> EpochEndOffset {
    match end {
        Ok(Some((epoch, offset))) => EpochEndOffset {
            partition,
            leader_epoch: epoch.0,
            end_offset: offset.0,
            ..Default::default()
        },
        Ok(None) => EpochEndOffset {
            partition,
            ..Default::default()
        },
        Err(error) => EpochEndOffset {
            error_code: error.code(),
            partition,
            ..Default::default()
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: broker/admin-13
    #[test]
    fn epoch_ends_where_next_one_starts() {
        // Batches of three offsets with a gap: epochs 1, 1, 3, 3, 4.
        let batches = [(3, 6, 1), (6, 9, 1), (12, 15, 3), (15, 18, 3), (18, 21, 4)];
        let bounds = Bounds {
            log_start: Offset(3),
            high_watermark: Offset(21),
            last_stable: Offset(21),
            leader_epoch: LeaderEpoch(5),
        };
        let batch_at = |offset: Offset| {
            let found = batches.iter().find(|(_, next, _)| offset.0 < *next);
            Ok(found.map(|&(base, next, epoch)| Batch {
                base: Offset(base),
                next: Offset(next),
                epoch: LeaderEpoch(epoch),
            }))
        };
        for (epoch, last, end) in [(0, 0, 3), (1, 1, 12), (2, 1, 12), (3, 3, 18), (4, 4, 21)] {
            let found = end_of_epoch(LeaderEpoch(epoch), bounds, batch_at).unwrap();
            assert_eq!(found, (LeaderEpoch(last), Offset(end)), "epoch {epoch}");
        }
    }
}
