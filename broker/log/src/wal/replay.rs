//! Replay of WAL frames into partitions.
//!
//! Invariant: replay of frames that the checkpoint covers has no effect, so a checkpoint need not
//! be one point in time for all partitions.

use std::io;
use std::sync::Arc;

use avouch_protocol::batch::BatchHeader;
use avouch_protocol::types::{Offset, TopicId, TopicPartition};
use bytes::Bytes;

use crate::api::{CorruptRange, RecoveryReport};
use crate::locks::lock;
use crate::partition::{Partition, State, TailBatch};
use crate::runtime::shared::Shared;
use crate::wal::frame::{Entry, FrameSeq, decode_entries};
use crate::wal::scan::ReplayPlan;

#[derive(Debug)]
pub(crate) struct Replay<'a> {
    shared: &'a Shared,
    frames: u64,
    bytes: u64,
}

impl<'a> Replay<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            frames: 0,
            bytes: 0,
        }
    }

    /// Applies a complete frame.
    ///
    /// # Errors
    /// If its CRC matches but its entries are invalid, so it has another format.
    pub(crate) fn frame(&mut self, seq: FrameSeq, body: &Bytes) -> io::Result<()> {
        let invalid = || {
            let reason = format!("WAL frame {} has a correct CRC but invalid entries", seq.0);
            io::Error::new(io::ErrorKind::InvalidData, reason)
        };
        for entry in decode_entries(body).ok_or_else(invalid)? {
            match entry {
                Entry::Batch {
                    target,
                    tag,
                    from_coordinator,
                    batch,
                } => {
                    let header = BatchHeader::parse(&batch).map_err(|_| invalid())?;
                    self.batch(seq, (target, tag, from_coordinator), batch, &header);
                }
                Entry::LogStart { target, offset } => self.log_start(target, offset),
                Entry::TopicDeleted { topic } => self.topic_deleted(topic),
                Entry::RangeSkipped { target, range } => {
                    if let Some(partition) = self.shared.partition(target) {
                        partition.state().skip(range);
                    }
                }
            }
        }
        self.frames += 1;
        self.bytes += body.len() as u64;
        self.shared.publish(seq, body.len());
        Ok(())
    }

    pub(crate) fn report(&self, plan: &ReplayPlan) -> RecoveryReport {
        let partitions = self.shared.partitions();
        let corrupt = |partition: &Arc<Partition>| {
            let range = partition.state().corrupt_ranges.clone();
            let tp = partition.tp;
            range.into_iter().map(move |range| (tp, range))
        };
        RecoveryReport {
            frames_replayed: self.frames,
            bytes_replayed: self.bytes,
            torn_tail: plan.torn,
            missing_frames: plan
                .missing
                .iter()
                .map(|(from, to)| (from.0, to.0))
                .collect(),
            corrupt_ranges: partitions.iter().flat_map(corrupt).collect(),
            epochs_bumped: false,
        }
    }

    fn batch(
        &self,
        seq: FrameSeq,
        (target, tag, from_coordinator): (TopicPartition, u32, bool),
        bytes: Bytes,
        header: &BatchHeader,
    ) {
        // The topic was deleted in a frame that the checkpoint covers; its id is never used again.
        if lock(&self.shared.garbage).topics.contains(&target.topic) {
            return;
        }
        let partition = self.shared.partition_or_new(target);
        let size = bytes.len();
        let new_producers = {
            let mut state = partition.state();
            // The checkpoint's part of this partition was taken after this frame.
            if header.base_offset < state.next_offset {
                return;
            }
            skip_to(&mut state, header.base_offset);
            state.next_offset = header.next_offset();
            state.leader_epoch = state.leader_epoch.max(header.leader_epoch);
            if !from_coordinator {
                state.producers.stage(header, header.base_offset);
            }
            let batch = TailBatch {
                base_offset: header.base_offset,
                next_offset: header.next_offset(),
                max_timestamp: header.max_timestamp,
                tag,
                bytes,
            };
            state.publish(batch, seq)
        };
        self.shared.note_producers(new_producers);
        self.shared.memory.added(std::iter::once((partition, size)));
    }

    fn log_start(&self, target: TopicPartition, offset: Offset) {
        let Some(partition) = self.shared.partition(target) else {
            return;
        };
        let mut state = partition.state();
        skip_to(&mut state, offset);
        // Repeating the deletion is harmless: the garbage is removed after the next checkpoint.
        let gone = state.raise_log_start(offset);
        drop(state);
        let paths = gone.iter().map(|segment| segment.path(&partition.dir));
        lock(&self.shared.garbage).segments.extend(paths);
    }

    fn topic_deleted(&self, topic: TopicId) {
        lock(&self.shared.garbage).topics.insert(topic);
        for partition in self.shared.partitions_of(topic) {
            self.shared.drop_partition(&partition);
        }
    }
}

/// Records the offsets before `offset` as a corrupt range, if batches with them are missing.
fn skip_to(state: &mut State, offset: Offset) {
    if state.next_offset < offset {
        state.corrupt_ranges.push(CorruptRange {
            from: state.next_offset,
            to: offset,
        });
        state.next_offset = offset;
        state.high_watermark = offset;
    }
}
