//! ListOffsets (key 2), versions 1 to 10.
//!
//! Behavior:
//! * -1 means the high watermark (the last stable offset with read_committed), -2 the log start, -3
//!   the record with the maximum timestamp, -4 the local log start, -5 the last offset in remote
//!   storage, of which there is none.
//! * A timestamp means the first record at or after it, found inside compressed batches too.
//! * A partition that the request contains twice is rejected once.
//!
//! Version notes:
//! * -3 needs version 7 (KIP-734), -4 version 8 (KIP-405), -5 version 9 (KIP-1005). A sentinel that
//!   the request's version does not define gets UNSUPPORTED_VERSION for its partition.
//! * Version 10 has a timeout for lookups in remote storage, which does not apply (KIP-1075).

use std::sync::Arc;

use avouch_log::{BatchAt, Bounds, Log, ReadError};
use avouch_protocol::batch::{BatchHeader, HEADER_BYTES};
use avouch_protocol::compress::{Decompressor, Limits};
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::list_offsets::{
    ListOffsetsPartition, ListOffsetsPartitionResponse, ListOffsetsRequest, ListOffsetsResponse,
    ListOffsetsTopicResponse,
};
use avouch_protocol::records::RecordIter;
use avouch_protocol::types::{Offset, TimestampMs, TopicPartition};

use super::{Call, check_leader_epoch, duplicates};
use crate::error::{KafkaError as _, RequestError};
use crate::node::Node;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const MAX_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const READ_COMMITTED: i8 = 1;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let cluster = node.metadata.cluster();
    let partitions = request.topics.iter().flat_map(|topic| {
        let partitions = topic.partitions.iter();
        partitions.map(|partition| (topic.name.clone(), partition.partition_index))
    });
    let twice = duplicates(partitions);
    // A duplicate partition has one result, at its first occurrence.
    let mut unlisted = twice.clone();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for partition in topic.partitions {
            let index = partition.partition_index;
            let key = (topic.name.clone(), index);
            let found = if twice.contains(&key) {
                if !unlisted.remove(&key) {
                    continue;
                }
                Err(RequestError::DuplicatePartition.into())
            } else if !is_supported(partition.timestamp, call.version()) {
                Err(RequestError::UnsupportedTimestamp(partition.timestamp).into())
            } else {
                match cluster.partition(&topic.name, index) {
                    None => Err(RequestError::UnknownPartition.into()),
                    Some(target) => find(&node, target, &partition, request.isolation_level).await,
                }
            };
            let mut response = response(index, found);
            if call.version() < 4 {
                // The field is not ignorable and not in these versions.
                response.leader_epoch = -1;
            }
            partitions.push(response);
        }
        topics.push(ListOffsetsTopicResponse {
            name: topic.name,
            partitions,
        });
    }
    ListOffsetsResponse {
        topics,
        ..Default::default()
    }
}

/// Returns whether a version of the request defines this timestamp.
fn is_supported(timestamp: i64, version: i16) -> bool {
    match timestamp {
        LATEST | EARLIEST | 0.. => true,
        MAX_TIMESTAMP => version >= 7,
        EARLIEST_LOCAL => version >= 8,
        LATEST_TIERED => version >= 9,
        _ => false,
    }
}

/// A found offset.
struct Found {
    /// `None` if no offset matches.
    offset: Option<Offset>,
    /// The timestamp of the record, if one was searched for.
    timestamp: Option<TimestampMs>,
    bounds: Bounds,
}

async fn find(
    node: &Node,
    target: TopicPartition,
    partition: &ListOffsetsPartition,
    isolation_level: i8,
) -> Result<Found, ErrorCode> {
    let bounds = node.log.bounds(target);
    let bounds = bounds.ok_or(RequestError::UnknownPartition)?;
    check_leader_epoch(partition.current_leader_epoch, &bounds)?;
    let found = |offset| {
        Ok(Found {
            offset,
            timestamp: None,
            bounds,
        })
    };
    match partition.timestamp {
        LATEST if isolation_level == READ_COMMITTED => found(Some(bounds.last_stable)),
        LATEST => found(Some(bounds.high_watermark)),
        EARLIEST | EARLIEST_LOCAL => found(Some(bounds.log_start)),
        LATEST_TIERED => found(None),
        timestamp => {
            let log = node.log.clone();
            // Reading and decompressing may block for the disk.
            let search = tokio::task::spawn_blocking(move || by_timestamp(&log, target, timestamp));
            let record = search.await.map_err(|_| RequestError::Internal)?;
            let record = record.map_err(|error| error.error_code())?;
            Ok(Found {
                offset: record.map(|(offset, _)| offset),
                timestamp: record.map(|(_, timestamp)| timestamp),
                bounds,
            })
        }
    }
}

/// Finds the first record at or after `timestamp`, or the one with the maximum timestamp.
fn by_timestamp(
    log: &Log,
    target: TopicPartition,
    timestamp: i64,
) -> Result<Option<(Offset, TimestampMs)>, ReadError> {
    let log_start = log.bounds(target).unwrap_or_default().log_start;
    if timestamp == MAX_TIMESTAMP {
        let newest = log.offset_of_max_timestamp(target)?;
        return match newest {
            Some(BatchAt { batch, .. }) => first_at(&batch, log_start, None),
            None => Ok(None),
        };
    }
    let timestamp = TimestampMs(timestamp);
    let mut from = log_start;
    // If the log start is inside a batch, the only matching records of that batch may be before it:
    // then the search continues at the next batch.
    while let Some(BatchAt { batch, .. }) = log.offset_for_time(target, from, timestamp)? {
        let found = first_at(&batch, log_start, Some(timestamp))?;
        if found.is_some() {
            return Ok(found);
        }
        from = BatchHeader::parse(&batch).map_err(corrupt)?.next_offset();
    }
    Ok(None)
}

/// Finds the first record of a batch, from `log_start` on, that is at or after `timestamp`; without
/// one, the first with the batch's maximum timestamp.
fn first_at(
    batch: &[u8],
    log_start: Offset,
    timestamp: Option<TimestampMs>,
) -> Result<Option<(Offset, TimestampMs)>, ReadError> {
    let header = BatchHeader::parse(batch).map_err(corrupt)?;
    let min = timestamp.unwrap_or(header.max_timestamp);
    let mut decompressor = Decompressor::new();
    let codec = header.codec().map_err(corrupt)?;
    let section = decompressor
        .decompress(codec, &batch[HEADER_BYTES..], Limits::STORED)
        .map_err(corrupt)?;
    for record in RecordIter::new(section, header.record_count) {
        let record = record.map_err(corrupt)?;
        let offset = header.base_offset.plus(i64::from(record.offset_delta));
        let delta = record.timestamp_delta;
        let at = if header.is_log_append_time() {
            // Every record has the batch's append time, which is its maximum.
            header.max_timestamp
        } else {
            TimestampMs(header.base_timestamp.0.saturating_add(delta))
        };
        if at >= min && offset >= log_start {
            return Ok(Some((offset, at)));
        }
    }
    Ok(None)
}

/// Returns the error for a stored batch that does not parse, although it did when it was appended.
fn corrupt<E>(_: E) -> ReadError {
    ReadError::Io(std::io::ErrorKind::InvalidData.into())
}

fn response(partition_index: i32, found: Result<Found, ErrorCode>) -> ListOffsetsPartitionResponse {
    match found {
        Ok(found) => ListOffsetsPartitionResponse {
            partition_index,
            timestamp: found.timestamp.map_or(-1, |timestamp| timestamp.0),
            offset: found.offset.map_or(-1, |offset| offset.0),
            leader_epoch: found.offset.map_or(-1, |_| found.bounds.leader_epoch.0),
            ..Default::default()
        },
        Err(error) => ListOffsetsPartitionResponse {
            partition_index,
            error_code: error.code(),
            timestamp: -1,
            offset: -1,
            leader_epoch: -1,
        },
    }
}
