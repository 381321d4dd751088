//! Reads: recent batches from memory, others from segments, as one sequence of batches.
//!
//! Offsets removed by compaction and skipped ranges are passed over. Invariant: no batch at or
//! above the high watermark and no corrupt batch is returned. Files are read without the
//! partition's lock.

use std::io;

use avouch_protocol::batch::{HEADER_BYTES, LENGTH_PREFIX_BYTES, crc32c};
use avouch_protocol::types::{LeaderEpoch, Offset, TimestampMs, TopicPartition};
use bytes::Bytes;

use crate::api::{BatchAt, Bounds, CorruptRange, FileRangeResult, ReadError, ReadResult};
use crate::disk::OpenMode;
use crate::partition::{Partition, State};
use crate::runtime::shared::Shared;
use crate::segment::SegmentMeta;

/// See [`super::Log::read`].
pub(crate) fn read(
    shared: &Shared,
    tp: TopicPartition,
    from: Offset,
    max_bytes: usize,
) -> Result<ReadResult, ReadError> {
    let partition = shared.partition(tp).ok_or(ReadError::UnknownPartition)?;
    let result = read_partition(shared, &partition, from, max_bytes);
    report_corruption(shared, tp, result)
}

/// Reports the corrupt range of a failed read.
fn report_corruption<T>(
    shared: &Shared,
    tp: TopicPartition,
    result: Result<T, ReadError>,
) -> Result<T, ReadError> {
    if let Err(ReadError::Corrupt { range }) = &result {
        shared.report_corrupt_range(tp, *range);
    }
    result
}

fn read_partition(
    shared: &Shared,
    partition: &Partition,
    from: Offset,
    max_bytes: usize,
) -> Result<ReadResult, ReadError> {
    let bounds = partition.state().bounds();
    if from < bounds.log_start || from > bounds.high_watermark {
        return Err(ReadError::OutOfRange { bounds });
    }
    let mut result = ReadResult {
        batches: Vec::new(),
        bounds,
    };
    let mut next = from;
    let mut left = max_bytes;
    loop {
        // The lock is not held during the file read, so note whether compaction replaces the file
        // meanwhile.
        let replacements = {
            let state = partition.state();
            next = state.past_skipped(next);
            state.replacements
        };
        let more = match locate(partition, next, left, result.batches.is_empty()) {
            // Without a batch that covers the skipped offsets the position of a client would never
            // reach the end of the partition.
            Located::Nothing if result.batches.is_empty() && next > from => {
                result
                    .batches
                    .push(empty_batch(from, next, bounds.leader_epoch));
                return Ok(result);
            }
            Located::Nothing => Vec::new(),
            Located::Memory(batches) => batches,
            Located::Corrupt(_) if !result.batches.is_empty() => Vec::new(),
            Located::Corrupt(range) => return Err(ReadError::Corrupt { range }),
            Located::Compacted { to } => {
                next = to;
                continue;
            }
            Located::Segment { meta, limit } => {
                match read_segment(shared, partition, &meta, next, limit, left) {
                    // Compaction removed everything up to the limit.
                    Ok(batches) if batches.is_empty() && limit > next => {
                        next = limit;
                        continue;
                    }
                    Ok(batches) => batches,
                    // The located file was removed by compaction; the records are in the new
                    // segment.
                    Err(_) if partition.state().replacements != replacements => continue,
                    // Return what was read before; the next read returns the error.
                    Err(_) if !result.batches.is_empty() => Vec::new(),
                    Err(error) => return Err(error),
                }
            }
        };
        let bytes: usize = more.iter().map(Bytes::len).sum();
        let is_end = more.is_empty() || (bytes > left && !result.batches.is_empty());
        if is_end {
            return Ok(result);
        }
        next = more.last().and_then(|batch| end_of(batch)).unwrap_or(next);
        left = left.saturating_sub(bytes);
        result.batches.extend(more);
        if left == 0 {
            return Ok(result);
        }
    }
}

/// Returns a batch without records, such as compaction keeps, for the offsets from `from` to `to`.
fn empty_batch(from: Offset, to: Offset, leader_epoch: LeaderEpoch) -> Bytes {
    let last_offset_delta = i32::try_from(to.0 - from.0 - 1).unwrap_or(i32::MAX);
    let mut batch = vec![0; HEADER_BYTES];
    let length = u32::try_from(HEADER_BYTES - LENGTH_PREFIX_BYTES).unwrap_or_default();
    batch[0..8].copy_from_slice(&from.0.to_be_bytes());
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[12..16].copy_from_slice(&leader_epoch.0.to_be_bytes());
    batch[16] = 2;
    batch[23..27].copy_from_slice(&last_offset_delta.to_be_bytes());
    // No timestamps, producer id, epoch and sequence: all of them are -1.
    batch[27..57].fill(0xff);
    let crc = crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch.into()
}

/// See [`super::Log::file_range`].
pub(crate) fn file_range(
    shared: &Shared,
    tp: TopicPartition,
    from: Offset,
    max_bytes: usize,
) -> Option<FileRangeResult> {
    let partition = shared.partition(tp)?;
    let (bounds, meta) = {
        let state = partition.state();
        let is_whole = state.corrupt_ranges.is_empty() && state.skipped.is_empty();
        let segment = state.segment_of(from).filter(|_| is_whole)?;
        (state.bounds(), segment.clone())
    };
    let is_inside = bounds.log_start <= from && from < bounds.high_watermark;
    if !is_inside || from < meta.base_offset {
        return None;
    }
    let file = shared.file_cache.opened(&partition.dir, &meta)?;
    let limit = bounds.high_watermark;
    // On any error fall back to `read`, which reports it.
    let (range, next) = file.file_range(&meta, (from, limit), max_bytes).ok()??;
    Some(FileRangeResult {
        range,
        next,
        bounds,
    })
}

/// See [`super::Log::offset_for_time`].
pub(crate) fn first_at_time(
    shared: &Shared,
    tp: TopicPartition,
    from: Offset,
    ts: TimestampMs,
) -> Result<Option<BatchAt>, ReadError> {
    let partition = shared.partition(tp).ok_or(ReadError::UnknownPartition)?;
    let found = unless_replaced(&partition, || find_time(shared, &partition, from, ts));
    report_corruption(shared, tp, found)
}

fn find_time(
    shared: &Shared,
    partition: &Partition,
    from: Offset,
    ts: TimestampMs,
) -> Result<Option<BatchAt>, ReadError> {
    let (segments, in_memory, from, gaps) = {
        let state = partition.state();
        let from = state.log_start.max(from);
        let fits =
            |segment: &&SegmentMeta| segment.max_timestamp >= ts && segment.next_offset > from;
        let segments: Vec<_> = state.segments.iter().filter(fits).cloned().collect();
        let mut unflushed = state.unflushed();
        let in_memory = unflushed
            .find(|batch| batch.max_timestamp >= ts && batch.next_offset > from)
            .map(|batch| BatchAt {
                base_offset: batch.base_offset,
                batch: batch.bytes.clone(),
            });
        (segments, in_memory, from, state.gaps())
    };
    for meta in &segments {
        let file = open(shared, partition, meta)?;
        if let Some(found) = file.first_at_time(meta, &gaps, from, ts)? {
            return Ok(Some(found));
        }
    }
    Ok(in_memory)
}

/// See [`super::Log::offset_of_max_timestamp`].
pub(crate) fn max_timestamp(
    shared: &Shared,
    tp: TopicPartition,
) -> Result<Option<BatchAt>, ReadError> {
    let partition = shared.partition(tp).ok_or(ReadError::UnknownPartition)?;
    let found = unless_replaced(&partition, || find_newest(shared, &partition));
    report_corruption(shared, tp, found)
}

fn find_newest(shared: &Shared, partition: &Partition) -> Result<Option<BatchAt>, ReadError> {
    let (segments, in_memory, log_start, gaps) = {
        let state = partition.state();
        (
            state.segments.clone(),
            newest_in_memory(&state),
            state.log_start,
            state.gaps(),
        )
    };
    let readable = |meta: &&SegmentMeta| meta.next_offset > log_start && meta.bytes > 0;
    let mut best: Option<(TimestampMs, BatchAt)> = None;
    let mut of_segments: Option<(TimestampMs, Offset, &SegmentMeta)> = None;
    for meta in segments.iter().filter(readable) {
        // Only in the first segment can records be below the log start offset.
        let max = if meta.max_timestamp_at >= log_start {
            Some((meta.max_timestamp, meta.max_timestamp_at))
        } else {
            open(shared, partition, meta)?.max_timestamp(meta, &gaps, log_start)?
        };
        if let Some((ts, offset)) = max
            && of_segments.is_none_or(|(max, ..)| ts > max)
        {
            of_segments = Some((ts, offset, meta));
        }
    }
    if let Some((ts, offset, meta)) = of_segments {
        let file = open(shared, partition, meta)?;
        best = Some((ts, file.batch_at(meta, &gaps, offset)?));
    }
    let newer = in_memory.filter(|(ts, _)| best.as_ref().is_none_or(|(best, _)| ts > best));
    Ok(newer.or(best).map(|(_, batch)| batch))
}

/// Returns the result of `find`, repeated while compaction replaces the files it reads.
fn unless_replaced<T>(
    partition: &Partition,
    find: impl Fn() -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    loop {
        let replacements = partition.state().replacements;
        match find() {
            Err(_) if partition.state().replacements != replacements => {}
            found => return found,
        }
    }
}

fn newest_in_memory(state: &State) -> Option<(TimestampMs, BatchAt)> {
    let mut best: Option<(TimestampMs, BatchAt)> = None;
    for batch in state
        .unflushed()
        .filter(|batch| batch.next_offset > state.log_start)
    {
        if best
            .as_ref()
            .is_none_or(|(ts, _)| batch.max_timestamp > *ts)
        {
            let found = BatchAt {
                base_offset: batch.base_offset,
                batch: batch.bytes.clone(),
            };
            best = Some((batch.max_timestamp, found));
        }
    }
    best
}

/// The place of the batch that contains an offset.
enum Located {
    Memory(Vec<Bytes>),
    Segment {
        meta: SegmentMeta,
        limit: Offset,
    },
    Corrupt(CorruptRange),
    /// Compaction removed all offsets up to `to`, where a corrupt or skipped range starts.
    Compacted {
        to: Offset,
    },
    /// The offset is the high watermark.
    Nothing,
}

fn locate(partition: &Partition, from: Offset, max_bytes: usize, must: bool) -> Located {
    let state = partition.state();
    if from >= state.high_watermark {
        return Located::Nothing;
    }
    if let Some(range) = state.corrupt_range_at(from) {
        return Located::Corrupt(range);
    }
    // A read never crosses a corrupt or skipped range, so each result is contiguous.
    let limit = state.read_limit(from);
    let in_memory = state
        .tail
        .front()
        .is_some_and(|oldest| oldest.base_offset <= from);
    let segment = if in_memory {
        None
    } else {
        state.segment_of(from)
    };
    let first = match segment {
        Some(meta) => Some(meta.base_offset),
        None => state
            .tail
            .get(state.tail_index(from))
            .map(|batch| batch.base_offset),
    };
    if limit < state.high_watermark && first.is_none_or(|first| first >= limit) {
        return Located::Compacted { to: limit };
    }
    match segment {
        Some(meta) if meta.base_offset < limit => Located::Segment {
            meta: meta.clone(),
            limit,
        },
        Some(_) | None => Located::Memory(from_tail(&state, from, limit, max_bytes, must)),
    }
}

fn from_tail(
    state: &State,
    from: Offset,
    limit: Offset,
    max_bytes: usize,
    must: bool,
) -> Vec<Bytes> {
    let mut batches: Vec<Bytes> = Vec::new();
    let mut bytes = 0;
    for batch in state.tail.range(state.tail_index(from)..) {
        bytes += batch.bytes.len();
        let fits = bytes <= max_bytes || (must && batches.is_empty());
        if batch.next_offset > limit || !fits {
            break;
        }
        batches.push(batch.bytes.clone());
    }
    batches
}

fn read_segment(
    shared: &Shared,
    partition: &Partition,
    meta: &SegmentMeta,
    from: Offset,
    limit: Offset,
    max_bytes: usize,
) -> Result<Vec<Bytes>, ReadError> {
    let gaps = partition.state().gaps();
    let batches = open(shared, partition, meta)
        .and_then(|file| file.read(meta, &gaps, from, limit.min(meta.next_offset), max_bytes));
    batches.map_err(|error| gone_meanwhile(partition, from).unwrap_or(error))
}

fn open(
    shared: &Shared,
    partition: &Partition,
    meta: &SegmentMeta,
) -> Result<std::sync::Arc<crate::segment::SegmentFile>, ReadError> {
    let disk = &*shared.disk;
    shared
        .file_cache
        .segment(disk, partition, meta, OpenMode::Existing)
        .map_err(|error| {
            // The file is missing or contains another segment.
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::InvalidData
            ) {
                let range = CorruptRange {
                    from: meta.base_offset,
                    to: meta.next_offset,
                };
                return ReadError::Corrupt { range };
            }
            ReadError::Io(error)
        })
}

/// Returns the error of a read that failed because its data was deleted after it was located.
fn gone_meanwhile(partition: &Partition, from: Offset) -> Option<ReadError> {
    let state = partition.state();
    if state.deleted {
        return Some(ReadError::UnknownPartition);
    }
    let bounds: Bounds = state.bounds();
    (from < bounds.log_start).then_some(ReadError::OutOfRange { bounds })
}

/// Returns the offset after a verified batch.
fn end_of(batch: &[u8]) -> Option<Offset> {
    let header = avouch_protocol::batch::BatchHeader::parse(batch).ok()?;
    Some(header.next_offset())
}
