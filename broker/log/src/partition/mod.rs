//! One partition in memory: bounds, recent batches (the tail), segments and producer state.
//!
//! Invariants: `log_start <= high_watermark <= next_offset`. Batches below `flushed_to` are in
//! segments, those from there to the high watermark are in the tail. Batches between the high
//! watermark and `next_offset` are not durable and not visible.

pub(crate) mod producer_state;
pub(crate) mod retention;
pub(crate) mod roll;
pub(crate) mod settings;
pub(crate) mod tags;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use avouch_protocol::types::{LeaderEpoch, Offset, TimestampMs, TopicPartition};
use bytes::Bytes;

use crate::api::{Bounds, CorruptRange};
use crate::checkpoint::PartitionCheckpoint;
use crate::failpoints::{self, Bug};
use crate::locks::lock;
use crate::partition::producer_state::Producers;
use crate::partition::settings::PartitionSettings;
use crate::segment::SegmentMeta;
use crate::segment::scanner::OffsetGaps;
use crate::wal::frame::FrameSeq;

/// A partition, shared among threads.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) tp: TopicPartition,
    /// Directory of its segments.
    pub(crate) dir: PathBuf,
    state: Mutex<State>,
}

impl Partition {
    pub(crate) fn new(tp: TopicPartition, dir: PathBuf, state: State) -> Self {
        Self {
            tp,
            dir,
            state: Mutex::new(state),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// A durable batch in memory.
#[derive(Clone, Debug)]
pub(crate) struct TailBatch {
    pub(crate) base_offset: Offset,
    pub(crate) next_offset: Offset,
    pub(crate) max_timestamp: TimestampMs,
    pub(crate) tag: u32,
    pub(crate) bytes: Bytes,
}

/// State of a partition, guarded by its lock.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) log_start: Offset,
    pub(crate) high_watermark: Offset,
    /// Base offset of the next batch.
    pub(crate) next_offset: Offset,
    pub(crate) leader_epoch: LeaderEpoch,
    /// Contiguous up to the high watermark; its first batches may be in segments too.
    pub(crate) tail: VecDeque<TailBatch>,
    /// Number of batches that left the tail before [`State::trim_oldest`] was called for them.
    left_early: usize,
    pub(crate) flushed_to: Offset,
    /// Oldest first; the last one is the active segment.
    pub(crate) segments: Vec<SegmentMeta>,
    pub(crate) corrupt_ranges: Vec<CorruptRange>,
    /// Corrupt ranges that reads skip, as an operator requested.
    pub(crate) skipped: Vec<CorruptRange>,
    /// Compaction has compared all records below this offset.
    pub(crate) cleaned_to: Offset,
    /// Number of times that compaction replaced segments since the start. A read that fails is
    /// repeated if this changed meanwhile.
    pub(crate) replacements: u64,
    /// Base offset of the active segment when compaction found a corrupt batch. Compaction waits
    /// for the next segment.
    pub(crate) compaction_held_at: Option<Offset>,
    pub(crate) settings: Option<PartitionSettings>,
    /// The newest frame with records of this partition, and the records not yet synced.
    unsynced: (FrameSeq, i64),
    pub(crate) producers: Producers,
    /// A deletion was decided but may not be durable: nothing is appended, but the data is kept.
    pub(crate) deleting: bool,
    pub(crate) deleted: bool,
    /// The directory may contain files of a crashed process; cleared before the first write.
    pub(crate) leftovers: bool,
}

impl State {
    /// Returns a partition without data.
    pub(crate) fn empty(leader_epoch: LeaderEpoch) -> Self {
        Self {
            leader_epoch,
            leftovers: true,
            ..Self::default()
        }
    }

    pub(crate) fn restore(checkpoint: PartitionCheckpoint) -> Self {
        Self {
            log_start: checkpoint.log_start,
            high_watermark: checkpoint.next_offset,
            next_offset: checkpoint.next_offset,
            leader_epoch: checkpoint.leader_epoch,
            tail: VecDeque::new(),
            flushed_to: checkpoint.next_offset,
            segments: checkpoint.segments,
            corrupt_ranges: checkpoint.corrupt_ranges,
            skipped: checkpoint.skipped,
            cleaned_to: checkpoint.cleaned_to,
            producers: Producers::restore(checkpoint.producers),
            leftovers: true,
            ..Self::default()
        }
    }

    pub(crate) fn checkpoint(&self, tp: TopicPartition) -> PartitionCheckpoint {
        PartitionCheckpoint {
            tp,
            leader_epoch: self.leader_epoch,
            // The WAL frame that raises it further is replayed after the checkpoint.
            log_start: self.log_start.min(self.flushed_to),
            // Replay skips batches below this offset and restores the later ones from the WAL.
            next_offset: self.flushed_to,
            corrupt_ranges: self.corrupt_ranges.clone(),
            skipped: self.skipped.clone(),
            cleaned_to: self.cleaned_to,
            segments: self.segments.clone(),
            producers: match failpoints::is_on(Bug::ProducersForgotten) {
                true => Vec::new(),
                false => self.producers.snapshot(self.flushed_to),
            },
        }
    }

    pub(crate) fn bounds(&self) -> Bounds {
        Bounds {
            log_start: self.log_start,
            high_watermark: self.high_watermark,
            last_stable: self.high_watermark,
            leader_epoch: self.leader_epoch,
        }
    }

    /// Returns the settings of the topic, or the defaults of the log.
    pub(crate) fn settings_or(&self, segment_bytes: u64) -> PartitionSettings {
        self.settings.unwrap_or(PartitionSettings {
            segment_bytes,
            ..PartitionSettings::default()
        })
    }

    /// Counts records that go into frame `seq` while frames up to `synced` are synced. Returns
    /// whether the topic requires a sync (`flush.messages`).
    pub(crate) fn count_unsynced(&mut self, seq: FrameSeq, synced: FrameSeq, records: i32) -> bool {
        let (newest, before) = self.unsynced;
        // If the newest frame with records of this partition was synced, none of its records is
        // pending.
        let before = if newest > synced { before } else { 0 };
        let count = before.saturating_add(records.into());
        self.unsynced = (seq, count);
        self.settings
            .is_some_and(|settings| count >= settings.flush_messages)
    }

    /// Makes a durable batch of frame `seq` visible. Returns the number of new producers.
    pub(crate) fn publish(&mut self, batch: TailBatch, seq: FrameSeq) -> usize {
        self.high_watermark = batch.next_offset;
        self.tail.push_back(batch);
        let before = self.producers.len();
        self.producers.commit(seq);
        self.producers.len() - before
    }

    /// Returns whether a read at `from` needs no file.
    pub(crate) fn is_resident(&self, from: Offset) -> bool {
        let oldest = self
            .tail
            .front()
            .map_or(self.high_watermark, |batch| batch.base_offset);
        from >= oldest || from < self.log_start
    }

    /// Returns the index of the first batch of the tail that ends after `from`.
    pub(crate) fn tail_index(&self, from: Offset) -> usize {
        self.tail.partition_point(|batch| batch.next_offset <= from)
    }

    /// Returns the batches that are in no segment.
    pub(crate) fn unflushed(&self) -> impl Iterator<Item = &TailBatch> {
        self.tail.range(self.tail_index(self.flushed_to)..)
    }

    /// Removes the oldest batch of the tail if a segment holds it. Returns whether it is removed.
    pub(crate) fn trim_oldest(&mut self) -> bool {
        // `TailMemory` still counts batches that compaction removed from the tail early.
        if self.left_early > 0 {
            self.left_early -= 1;
            return true;
        }
        match self.tail.front() {
            Some(oldest) if oldest.next_offset > self.flushed_to => false,
            Some(_) => self.tail.pop_front().is_some(),
            None => true,
        }
    }

    /// Removes batches below `end` from the tail, so that reads see the compacted segments.
    pub(crate) fn read_from_segments(&mut self, end: Offset) {
        let end = end.min(self.flushed_to);
        // Keeping these batches would let a fetch return records that compaction has removed.
        let count = self.tail.partition_point(|batch| batch.next_offset <= end);
        self.tail.drain(..count);
        self.left_early += count;
    }

    /// Returns the segment whose offsets include `from`.
    pub(crate) fn segment_of(&self, from: Offset) -> Option<&SegmentMeta> {
        let at = self
            .segments
            .partition_point(|segment| segment.next_offset <= from);
        self.segments.get(at)
    }

    /// Returns the corrupt range that includes `from`.
    pub(crate) fn corrupt_range_at(&self, from: Offset) -> Option<CorruptRange> {
        self.corrupt_ranges
            .iter()
            .copied()
            .find(|range| range.from <= from && from < range.to)
    }

    /// Returns the known reasons for missing offsets between two batches of a segment.
    pub(crate) fn gaps(&self) -> OffsetGaps {
        let known = self.corrupt_ranges.iter().chain(&self.skipped);
        OffsetGaps {
            log_start: self.log_start,
            known: known.copied().collect(),
            skipped: self.skipped.clone(),
        }
    }

    /// Returns `from`, or the end of the skipped ranges that include it.
    pub(crate) fn past_skipped(&self, from: Offset) -> Offset {
        let covering = |from: Offset| {
            let mut skipped = self.skipped.iter();
            skipped.find(|range| range.from <= from && from < range.to)
        };
        // Skipped ranges may be adjacent, so continue until none covers the offset.
        let mut at = from;
        while let Some(range) = covering(at) {
            at = range.to;
        }
        at
    }

    /// Marks a corrupt range as skipped.
    pub(crate) fn skip(&mut self, range: CorruptRange) {
        self.corrupt_ranges.retain(|known| *known != range);
        if !self.skipped.contains(&range) {
            self.skipped.push(range);
        }
        // Compaction can pass over the range now.
        self.compaction_held_at = None;
    }

    /// Returns the offset where a read from `from` ends: the next corrupt or skipped range, or the
    /// high watermark.
    pub(crate) fn read_limit(&self, from: Offset) -> Offset {
        let starts = self.corrupt_ranges.iter().chain(&self.skipped);
        let starts = starts.map(|range| range.from);
        let next = starts.filter(|start| *start > from).min();
        next.map_or(self.high_watermark, |start| start.min(self.high_watermark))
    }

    /// Raises the log start offset. Returns the segments that are below it now; the active segment
    /// always remains.
    pub(crate) fn raise_log_start(&mut self, offset: Offset) -> Vec<SegmentMeta> {
        self.log_start = self.log_start.max(offset);
        let log_start = self.log_start;
        self.corrupt_ranges.retain(|range| range.to > log_start);
        self.skipped.retain(|range| range.to > log_start);
        // The active segment stays even if all its records are deleted, since the flusher appends
        // to it.
        let closed = self.segments.len().saturating_sub(1);
        let gone = self
            .segments
            .partition_point(|segment| segment.next_offset <= log_start);
        self.segments.drain(..gone.min(closed)).collect()
    }
}
