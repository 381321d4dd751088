//! OffsetForLeaderEpoch (key 23), versions 2 to 4: where the records of an epoch end (KIP-320), by
//! which a consumer finds out that records it read are gone.
//!
//! Epochs are not kept apart from the batches, which carry them: they only go up along a partition,
//! so that a handful of reads finds where one ends.

use std::sync::Arc;

use avouch_log::{Bounds, Log, ReadError};
use avouch_protocol::batch::BatchHeader;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::offset_for_leader_epoch::{
    EpochEndOffset, OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
    OffsetForLeaderPartition, OffsetForLeaderTopicResult,
};
use avouch_protocol::types::{LeaderEpoch, Offset, PartitionIndex, TopicPartition};

use super::{Call, check_leader_epoch};
use crate::error::read_error;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let cluster = node.metadata.cluster();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let found = cluster.topic(&topic.topic);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let target = found.and_then(|topic| topic.partition(PartitionIndex(asked.partition)));
            let end = match target {
                Some(target) => look_up(&node, target, &asked).await,
                None => Err(ErrorCode::UnknownTopicOrPartition),
            };
            partitions.push(answer(&asked, end));
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

async fn look_up(
    node: &Node,
    target: TopicPartition,
    asked: &OffsetForLeaderPartition,
) -> Result<Option<End>, ErrorCode> {
    let bounds = node
        .log
        .bounds(target)
        .ok_or(ErrorCode::UnknownTopicOrPartition)?;
    check_leader_epoch(asked.current_leader_epoch, &bounds)?;
    let epoch = LeaderEpoch(asked.leader_epoch);
    if epoch.0 < 0 || epoch > bounds.leader_epoch {
        return Ok(None);
    }
    if epoch == bounds.leader_epoch {
        return Ok(Some((epoch, bounds.high_watermark)));
    }
    let log = node.log.clone();
    let found = tokio::task::spawn_blocking(move || {
        end_of_epoch(epoch, bounds, |offset| batch_at(&log, target, offset))
    });
    let end = found.await.map_err(|_| ErrorCode::UnknownServerError)?;
    end.map(Some).map_err(|error| read_error(&error))
}

/// A batch's base offset, the offset after it and its epoch.
#[derive(Clone, Copy, Debug)]
struct Epoch {
    base: Offset,
    next: Offset,
    epoch: LeaderEpoch,
}

/// The greatest epoch up to `epoch` that has batches, and where a later one's begin. Without any
/// up to it, the epoch itself and where the first batch begins, as Kafka answers.
fn end_of_epoch(
    epoch: LeaderEpoch,
    bounds: Bounds,
    batch_at: impl Fn(Offset) -> Result<Option<Epoch>, ReadError>,
) -> Result<End, ReadError> {
    // Batches before `from` are of epochs up to it, those from `to` on of later ones.
    let (mut from, mut to) = (bounds.log_start, bounds.high_watermark);
    let (mut last, mut end) = (epoch, bounds.high_watermark);
    while from < to {
        let middle = Offset(from.0 + (to.0 - from.0) / 2);
        match batch_at(middle)? {
            Some(batch) if batch.epoch <= epoch => {
                last = batch.epoch;
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

/// The batch that holds `offset`, or the first behind it; what is damaged is passed over.
fn batch_at(log: &Log, target: TopicPartition, offset: Offset) -> Result<Option<Epoch>, ReadError> {
    let mut offset = offset;
    loop {
        match log.read(target, offset, 0) {
            Ok(read) => {
                let header = read.batches.first();
                let header = header.and_then(|batch| BatchHeader::parse(batch).ok());
                return Ok(header.map(|header| Epoch {
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

fn answer(asked: &OffsetForLeaderPartition, end: Result<Option<End>, ErrorCode>) -> EpochEndOffset {
    let partition = asked.partition;
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
    fn an_epoch_ends_where_the_next_one_begins() {
        // Batches of three offsets with a hole: epochs 1, 1, 3, 3, 4.
        let batches = [(3, 6, 1), (6, 9, 1), (12, 15, 3), (15, 18, 3), (18, 21, 4)];
        let bounds = Bounds {
            log_start: Offset(3),
            high_watermark: Offset(21),
            last_stable: Offset(21),
            leader_epoch: LeaderEpoch(5),
        };
        let batch_at = |offset: Offset| {
            let found = batches.iter().find(|(_, next, _)| offset.0 < *next);
            Ok(found.map(|&(base, next, epoch)| Epoch {
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
