//! Reads: the tail from memory, the rest from segments, as if it were one sequence of batches.
//!
//! Offsets that compaction took are passed over, as is damage that an operator gave up.
//!
//! Invariant: nothing at or above the high watermark, and nothing that is damaged, is handed out;
//! what was seen to be right is not looked at again before it is sent.
//! Files are read without holding a partition's lock.

use std::io;

use avouch_protocol::types::{Offset, TimestampMs, TopicPartition};
use bytes::Bytes;

use crate::api::{BatchAt, Bounds, Damage, ReadError, ReadResult, Stretched};
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
    telling(shared, tp, result)
}

/// Has damage told that a reader met.
fn telling<T>(
    shared: &Shared,
    tp: TopicPartition,
    result: Result<T, ReadError>,
) -> Result<T, ReadError> {
    if let Err(ReadError::Corrupt { damage }) = &result {
        shared.note_damage(tp, *damage);
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
        let replacements = {
            let state = partition.state();
            next = state.past_skipped(next);
            state.replacements
        };
        let more = match locate(partition, next, left, result.batches.is_empty()) {
            Located::Nothing => Vec::new(),
            Located::Memory(batches) => batches,
            Located::Damaged(_) if !result.batches.is_empty() => Vec::new(),
            Located::Damaged(damage) => return Err(ReadError::Corrupt { damage }),
            Located::Compacted { to } => {
                next = to;
                continue;
            }
            Located::Segment { meta, limit } => {
                match read_segment(shared, partition, &meta, next, limit, left) {
                    // Compaction took all up to where something else begins.
                    Ok(batches) if batches.is_empty() && limit > next => {
                        next = limit;
                        continue;
                    }
                    Ok(batches) => batches,
                    Err(_) if partition.state().replacements != replacements => continue,
                    // What was read before is good; the next read will name what is wrong.
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

/// See [`super::Log::stretch`].
pub(crate) fn stretch(
    shared: &Shared,
    tp: TopicPartition,
    from: Offset,
    max_bytes: usize,
) -> Option<Stretched> {
    let partition = shared.partition(tp)?;
    let (bounds, meta) = {
        let state = partition.state();
        let is_whole = state.damage.is_empty() && state.skipped.is_empty();
        let holder = state.segment_of(from).filter(|_| is_whole)?;
        (state.bounds(), holder.clone())
    };
    let is_inside = bounds.log_start <= from && from < bounds.high_watermark;
    if !is_inside || from < meta.base_offset {
        return None;
    }
    let file = shared.handles.opened(&partition.dir, &meta)?;
    let limit = bounds.high_watermark;
    // Whatever is wrong, reading will name it.
    let (stretch, next) = file.stretch(&meta, (from, limit), max_bytes).ok()??;
    Some(Stretched {
        stretch,
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
    telling(shared, tp, found)
}

fn find_time(
    shared: &Shared,
    partition: &Partition,
    from: Offset,
    ts: TimestampMs,
) -> Result<Option<BatchAt>, ReadError> {
    let (segments, in_memory, from, holes) = {
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
        (segments, in_memory, from, state.holes())
    };
    for meta in &segments {
        let file = open(shared, partition, meta)?;
        if let Some(found) = file.first_at_time(meta, &holes, from, ts)? {
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
    telling(shared, tp, found)
}

fn find_newest(shared: &Shared, partition: &Partition) -> Result<Option<BatchAt>, ReadError> {
    let (segments, in_memory, log_start, holes) = {
        let state = partition.state();
        (
            state.segments.clone(),
            newest_in_memory(&state),
            state.log_start,
            state.holes(),
        )
    };
    let readable = |meta: &&SegmentMeta| meta.next_offset > log_start && meta.bytes > 0;
    let mut best: Option<(TimestampMs, BatchAt)> = None;
    let mut of_segments: Option<(TimestampMs, Offset, &SegmentMeta)> = None;
    for meta in segments.iter().filter(readable) {
        // Only the first segment can be partly given up.
        let max = if meta.max_timestamp_at >= log_start {
            Some((meta.max_timestamp, meta.max_timestamp_at))
        } else {
            open(shared, partition, meta)?.max_timestamp(meta, &holes, log_start)?
        };
        if let Some((ts, offset)) = max
            && of_segments.is_none_or(|(greatest, ..)| ts > greatest)
        {
            of_segments = Some((ts, offset, meta));
        }
    }
    if let Some((ts, offset, meta)) = of_segments {
        let file = open(shared, partition, meta)?;
        best = Some((ts, file.batch_at(meta, &holes, offset)?));
    }
    let newer = in_memory.filter(|(ts, _)| best.as_ref().is_none_or(|(best, _)| ts > best));
    Ok(newer.or(best).map(|(_, batch)| batch))
}

/// What `find` finds, tried again while compaction replaces the files it reads.
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

/// Where the batch that contains an offset is.
enum Located {
    Memory(Vec<Bytes>),
    Segment {
        meta: SegmentMeta,
        limit: Offset,
    },
    Damaged(Damage),
    /// Nowhere: compaction took all up to where damage begins.
    Compacted {
        to: Offset,
    },
    /// At the high watermark.
    Nothing,
}

fn locate(partition: &Partition, from: Offset, max_bytes: usize, must: bool) -> Located {
    let state = partition.state();
    if from >= state.high_watermark {
        return Located::Nothing;
    }
    if let Some(damage) = state.damage_at(from) {
        return Located::Damaged(damage);
    }
    let limit = state.read_limit(from);
    let in_memory = state
        .tail
        .front()
        .is_some_and(|oldest| oldest.base_offset <= from);
    let holder = if in_memory {
        None
    } else {
        state.segment_of(from)
    };
    let first = match holder {
        Some(meta) => Some(meta.base_offset),
        None => state
            .tail
            .get(state.tail_index(from))
            .map(|batch| batch.base_offset),
    };
    if limit < state.high_watermark && first.is_none_or(|first| first >= limit) {
        return Located::Compacted { to: limit };
    }
    match holder {
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
    let holes = partition.state().holes();
    let batches = open(shared, partition, meta)
        .and_then(|file| file.read(meta, &holes, from, limit.min(meta.next_offset), max_bytes));
    batches.map_err(|error| gone_meanwhile(partition, from).unwrap_or(error))
}

fn open(
    shared: &Shared,
    partition: &Partition,
    meta: &SegmentMeta,
) -> Result<std::sync::Arc<crate::segment::SegmentFile>, ReadError> {
    let disk = &*shared.disk;
    shared
        .handles
        .segment(disk, &partition.dir, meta, OpenMode::Existing)
        .map_err(|error| {
            if error.kind() == io::ErrorKind::NotFound {
                let damage = Damage {
                    from: meta.base_offset,
                    to: meta.next_offset,
                };
                return ReadError::Corrupt { damage };
            }
            ReadError::Io(error)
        })
}

/// A file may fail to be read because what it held was given up after it was located.
fn gone_meanwhile(partition: &Partition, from: Offset) -> Option<ReadError> {
    let state = partition.state();
    if state.deleted {
        return Some(ReadError::UnknownPartition);
    }
    let bounds: Bounds = state.bounds();
    (from < bounds.log_start).then_some(ReadError::OutOfRange { bounds })
}

/// The offset after a batch that was checked before.
fn end_of(batch: &[u8]) -> Option<Offset> {
    let header = avouch_protocol::batch::BatchHeader::parse(batch).ok()?;
    Some(header.next_offset())
}
