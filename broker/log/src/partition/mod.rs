//! One partition in memory: its edges, the tail that readers share with the WAL's buffers, the
//! list of its segments, its producers.
//!
//! Invariants: `log_start <= high_watermark <= next_offset`; batches below `flushed_to` are in
//! segments, those from it up to the high watermark are in the tail; what lies between the high
//! watermark and `next_offset` is not durable and nobody sees it. Knows no file.

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

use crate::api::{Bounds, Damage};
use crate::checkpoint::PartitionCheckpoint;
use crate::failpoints::{self, Bug};
use crate::locks::lock;
use crate::partition::producer_state::Producers;
use crate::partition::settings::PartitionSettings;
use crate::segment::SegmentMeta;
use crate::segment::scanner::Holes;
use crate::wal::frame::FrameSeq;

/// A partition that threads share.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) tp: TopicPartition,
    /// Where its segments are.
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

/// What a partition consists of.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) log_start: Offset,
    pub(crate) high_watermark: Offset,
    /// The next batch's base offset.
    pub(crate) next_offset: Offset,
    pub(crate) leader_epoch: LeaderEpoch,
    /// Contiguous, up to the high watermark; its beginning may be in segments too.
    pub(crate) tail: VecDeque<TailBatch>,
    /// Batches that left the tail before their turn came to give memory back.
    left_early: usize,
    pub(crate) flushed_to: Offset,
    /// Oldest first; the last one is written to.
    pub(crate) segments: Vec<SegmentMeta>,
    pub(crate) damage: Vec<Damage>,
    /// Damage that readers pass over, because an operator said so.
    pub(crate) skipped: Vec<Damage>,
    /// Records below this offset were compared with each other by compaction.
    pub(crate) cleaned_to: Offset,
    /// How often compaction replaced segments since opening: a reader that failed tries again when
    /// this moved under it.
    pub(crate) replacements: u64,
    /// Compaction met damage when the active segment began here; it waits for the next segment.
    pub(crate) compaction_held_at: Option<Offset>,
    pub(crate) settings: Option<PartitionSettings>,
    /// Records in frames up to this one of which none was synced.
    unsynced: (FrameSeq, i64),
    pub(crate) producers: Producers,
    /// Its deletion is decided and perhaps not durable: nothing more is appended, but what is there
    /// still is to be kept.
    pub(crate) deleting: bool,
    pub(crate) deleted: bool,
    /// The directory may hold what a crash left; cleared before the first segment write.
    pub(crate) leftovers: bool,
}

impl State {
    /// A partition without data.
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
            damage: checkpoint.damage,
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
            log_start: self.log_start.min(self.flushed_to),
            next_offset: self.flushed_to,
            damage: self.damage.clone(),
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

    /// What the topic says, or the log's own defaults.
    pub(crate) fn settings_or(&self, segment_bytes: u64) -> PartitionSettings {
        self.settings.unwrap_or(PartitionSettings {
            segment_bytes,
            ..PartitionSettings::default()
        })
    }

    /// Counts records that go into frame `seq` while frames up to `synced` are; says whether there
    /// are now so many that the topic wants them synced.
    pub(crate) fn count_unsynced(&mut self, seq: FrameSeq, synced: FrameSeq, records: i32) -> bool {
        let (newest, before) = self.unsynced;
        let before = if newest > synced { before } else { 0 };
        let count = before.saturating_add(records.into());
        self.unsynced = (seq, count);
        self.settings
            .is_some_and(|settings| count >= settings.flush_messages)
    }

    /// Makes a batch of frame `seq` visible, which is durable; tells how many producers are new.
    pub(crate) fn publish(&mut self, batch: TailBatch, seq: FrameSeq) -> usize {
        self.high_watermark = batch.next_offset;
        self.tail.push_back(batch);
        let before = self.producers.len();
        self.producers.commit(seq);
        self.producers.len() - before
    }

    /// Whether a read at `from` needs no file.
    pub(crate) fn is_resident(&self, from: Offset) -> bool {
        let oldest = self
            .tail
            .front()
            .map_or(self.high_watermark, |batch| batch.base_offset);
        from >= oldest || from < self.log_start
    }

    /// Index of the first batch of the tail that ends behind `from`.
    pub(crate) fn tail_index(&self, from: Offset) -> usize {
        self.tail.partition_point(|batch| batch.next_offset <= from)
    }

    /// The part of the tail that no segment holds.
    pub(crate) fn unflushed(&self) -> impl Iterator<Item = &TailBatch> {
        self.tail.range(self.tail_index(self.flushed_to)..)
    }

    /// Drops the oldest batch of the tail if a segment holds it; says whether it did.
    pub(crate) fn trim_oldest(&mut self) -> bool {
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

    /// Has reads below `end` come from segments, where compaction has been; all of it is there.
    pub(crate) fn read_from_segments(&mut self, end: Offset) {
        let end = end.min(self.flushed_to);
        let count = self.tail.partition_point(|batch| batch.next_offset <= end);
        self.tail.drain(..count);
        self.left_early += count;
    }

    /// The segment that holds, or would hold, `from`.
    pub(crate) fn segment_of(&self, from: Offset) -> Option<&SegmentMeta> {
        let at = self
            .segments
            .partition_point(|segment| segment.next_offset <= from);
        self.segments.get(at)
    }

    /// The damage that covers `from`.
    pub(crate) fn damage_at(&self, from: Offset) -> Option<Damage> {
        self.damage
            .iter()
            .copied()
            .find(|damage| damage.from <= from && from < damage.to)
    }

    /// Why offsets may be missing between two batches in a segment.
    pub(crate) fn holes(&self) -> Holes {
        let known = self.damage.iter().chain(&self.skipped);
        Holes {
            log_start: self.log_start,
            known: known.copied().collect(),
            given_up: self.skipped.clone(),
        }
    }

    /// `from`, or where reading goes on if damage that is to be passed over covers it.
    pub(crate) fn past_skipped(&self, from: Offset) -> Offset {
        let covering = |from: Offset| {
            let mut skipped = self.skipped.iter();
            skipped.find(|damage| damage.from <= from && from < damage.to)
        };
        let mut at = from;
        while let Some(damage) = covering(at) {
            at = damage.to;
        }
        at
    }

    /// From now on readers pass over `damage`.
    pub(crate) fn skip(&mut self, damage: Damage) {
        self.damage.retain(|known| *known != damage);
        if !self.skipped.contains(&damage) {
            self.skipped.push(damage);
        }
        self.compaction_held_at = None;
    }

    /// Where a read that starts at `from` has to end: before damage, at most at the high
    /// watermark.
    pub(crate) fn read_limit(&self, from: Offset) -> Offset {
        let starts = self.damage.iter().chain(&self.skipped);
        let starts = starts.map(|damage| damage.from);
        let next = starts.filter(|start| *start > from).min();
        next.map_or(self.high_watermark, |start| start.min(self.high_watermark))
    }

    /// Raises the log start offset and returns the segments nobody can read any more. The one
    /// being written always stays.
    pub(crate) fn raise_log_start(&mut self, offset: Offset) -> Vec<SegmentMeta> {
        self.log_start = self.log_start.max(offset);
        let log_start = self.log_start;
        self.damage.retain(|damage| damage.to > log_start);
        self.skipped.retain(|damage| damage.to > log_start);
        let closed = self.segments.len().saturating_sub(1);
        let gone = self
            .segments
            .partition_point(|segment| segment.next_offset <= log_start);
        self.segments.drain(..gone.min(closed)).collect()
    }
}
