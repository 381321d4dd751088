//! ListOffsets (key 2), versions 1 to 9.
//!
//! -1 is the end (the last stable offset for read_committed), -2 the start, -3 the record with the
//! greatest timestamp, -4 the start again (there is no remote storage), -5 nothing, and any
//! timestamp the first record at or after it, looked up inside compressed batches as well. What a
//! version did not know yet, and other negative times, are UNSUPPORTED_VERSION for their partition.

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
use avouch_protocol::types::{Offset, PartitionIndex, TimestampMs, TopicPartition};

use super::{Call, check_leader_epoch, named_twice};
use crate::error::read_error;
use crate::node::Node;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const GREATEST_TIMESTAMP: i64 = -3;
const EARLIEST_LOCAL: i64 = -4;
const LATEST_TIERED: i64 = -5;
const READ_COMMITTED: i8 = 1;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: ListOffsetsRequest,
) -> ListOffsetsResponse {
    let cluster = node.metadata.cluster();
    let named = request.topics.iter().flat_map(|topic| {
        let indexes = topic.partitions.iter();
        indexes.map(|asked| (topic.name.clone(), asked.partition_index))
    });
    let repeated = named_twice(named);
    // Of a partition that is named twice, the first mention is answered for all.
    let mut twice = repeated.clone();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in request.topics {
        let found = cluster.topic(&topic.name);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let target =
                found.and_then(|found| found.partition(PartitionIndex(asked.partition_index)));
            let this = (topic.name.clone(), asked.partition_index);
            let found = match (repeated.contains(&this), target) {
                (true, _) if !twice.remove(&this) => continue,
                (true, _) => Err(ErrorCode::InvalidRequest),
                (false, _) if !is_known(asked.timestamp, call.version()) => {
                    Err(ErrorCode::UnsupportedVersion)
                }
                (false, None) => Err(ErrorCode::UnknownTopicOrPartition),
                (false, Some(target)) => {
                    look_up(&node, target, &asked, request.isolation_level).await
                }
            };
            let mut answer = reply(&asked, found);
            if call.version() < 4 {
                answer.leader_epoch = -1; // Not in these versions' replies.
            }
            partitions.push(answer);
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

/// Whether a request of this version may ask for this time.
fn is_known(timestamp: i64, version: i16) -> bool {
    match timestamp {
        LATEST | EARLIEST | 0.. => true,
        GREATEST_TIMESTAMP => version >= 7,
        EARLIEST_LOCAL => version >= 8,
        LATEST_TIERED => version >= 9,
        _ => false,
    }
}

/// An offset, its record's timestamp where one was looked for, and the epoch to validate it by.
struct Found {
    offset: Option<Offset>,
    timestamp: Option<TimestampMs>,
    bounds: Bounds,
}

async fn look_up(
    node: &Node,
    target: TopicPartition,
    asked: &ListOffsetsPartition,
    isolation_level: i8,
) -> Result<Found, ErrorCode> {
    let bounds = node
        .log
        .bounds(target)
        .ok_or(ErrorCode::UnknownTopicOrPartition)?;
    check_leader_epoch(asked.current_leader_epoch, &bounds)?;
    let edge = |offset| {
        Ok(Found {
            offset: Some(offset),
            timestamp: None,
            bounds,
        })
    };
    match asked.timestamp {
        LATEST if isolation_level == READ_COMMITTED => edge(bounds.last_stable),
        LATEST => edge(bounds.high_watermark),
        EARLIEST | EARLIEST_LOCAL => edge(bounds.log_start),
        LATEST_TIERED => Ok(Found {
            offset: None,
            timestamp: None,
            bounds,
        }),
        GREATEST_TIMESTAMP | 0.. => {
            let (log, timestamp) = (node.log.clone(), asked.timestamp);
            let limits = node.config.limits.inflation();
            let found =
                tokio::task::spawn_blocking(move || by_timestamp(&log, target, timestamp, limits));
            let found = found.await.map_err(|_| ErrorCode::UnknownServerError)?;
            let record = found.map_err(|error| read_error(&error))?;
            Ok(Found {
                offset: record.map(|(offset, _)| offset),
                timestamp: record.map(|(_, timestamp)| timestamp),
                bounds,
            })
        }
        _ => Err(ErrorCode::UnsupportedVersion),
    }
}

/// The first record at or after `timestamp`, or the one with the greatest.
fn by_timestamp(
    log: &Log,
    target: TopicPartition,
    timestamp: i64,
    limits: Limits,
) -> Result<Option<(Offset, TimestampMs)>, ReadError> {
    let log_start = log.bounds(target).unwrap_or_default().log_start;
    if timestamp == GREATEST_TIMESTAMP {
        let newest = log.offset_of_max_timestamp(target)?;
        return match newest {
            Some(BatchAt { batch, .. }) => first_at(&batch, log_start, None, limits),
            None => Ok(None),
        };
    }
    let timestamp = TimestampMs(timestamp);
    let mut from = log_start;
    // The first batch that is new enough may have been cut in half by the log start.
    while let Some(BatchAt { batch, .. }) = log.offset_for_time(target, from, timestamp)? {
        let found = first_at(&batch, log_start, Some(timestamp), limits)?;
        if found.is_some() {
            return Ok(found);
        }
        from = BatchHeader::parse(&batch).map_err(damaged)?.next_offset();
    }
    Ok(None)
}

/// The first record of a batch, from `log_start` on, that is at or after `timestamp`, or without
/// one has the batch's greatest.
fn first_at(
    batch: &[u8],
    log_start: Offset,
    timestamp: Option<TimestampMs>,
    limits: Limits,
) -> Result<Option<(Offset, TimestampMs)>, ReadError> {
    let header = BatchHeader::parse(batch).map_err(damaged)?;
    let least = timestamp.unwrap_or(header.max_timestamp);
    let mut inflater = Decompressor::new();
    let codec = header.codec().map_err(damaged)?;
    let section = inflater
        .decompress(codec, &batch[HEADER_BYTES..], limits)
        .map_err(damaged)?;
    for record in RecordIter::new(section, header.record_count) {
        let record = record.map_err(damaged)?;
        let offset = header.base_offset.plus(i64::from(record.offset_delta));
        let delta = record.timestamp_delta;
        let at = if header.is_log_append_time() {
            header.max_timestamp
        } else {
            TimestampMs(header.base_timestamp.0.saturating_add(delta))
        };
        if at >= least && offset >= log_start {
            return Ok(Some((offset, at)));
        }
    }
    Ok(None)
}

/// What was checked when it was appended cannot be read any more.
fn damaged<E>(_: E) -> ReadError {
    ReadError::Io(std::io::ErrorKind::InvalidData.into())
}

fn reply(
    asked: &ListOffsetsPartition,
    found: Result<Found, ErrorCode>,
) -> ListOffsetsPartitionResponse {
    let partition_index = asked.partition_index;
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
