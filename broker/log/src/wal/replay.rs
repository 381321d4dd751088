//! Replaying WAL frames into partitions.
//!
//! Invariant: replaying what a checkpoint already covers changes nothing, so a checkpoint need not
//! be of one moment over all partitions. Knows no file.

use std::io;
use std::sync::Arc;

use avouch_protocol::batch::BatchHeader;
use avouch_protocol::types::{Offset, TopicId, TopicPartition};
use bytes::Bytes;

use crate::api::{Damage, RecoveryReport};
use crate::locks::lock;
use crate::partition::{Partition, State, TailBatch};
use crate::runtime::shared::Shared;
use crate::wal::frame::{Entry, FrameSeq, decode_entries};
use crate::wal::scan::Plan;

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

    /// Applies a whole frame.
    ///
    /// # Errors
    /// When its bytes are right but make no sense: written by something else than this format.
    pub(crate) fn frame(&mut self, seq: FrameSeq, body: &Bytes) -> io::Result<()> {
        let nonsense = || {
            let reason = format!("WAL frame {} makes no sense", seq.0);
            io::Error::new(io::ErrorKind::InvalidData, reason)
        };
        for entry in decode_entries(body).ok_or_else(nonsense)? {
            match entry {
                Entry::Batch {
                    target,
                    tag,
                    from_coordinator,
                    batch,
                } => {
                    let header = BatchHeader::parse(&batch).map_err(|_| nonsense())?;
                    self.batch(seq, (target, tag, from_coordinator), batch, &header);
                }
                Entry::LogStart { target, offset } => self.log_start(target, offset),
                Entry::TopicDeleted { topic } => self.topic_deleted(topic),
                Entry::DamageSkipped { target, damage } => {
                    if let Some(partition) = self.shared.partition(target) {
                        partition.state().skip(damage);
                    }
                }
            }
        }
        self.frames += 1;
        self.bytes += body.len() as u64;
        self.shared.publish(seq, body.len());
        Ok(())
    }

    pub(crate) fn report(&self, plan: &Plan) -> RecoveryReport {
        let partitions = self.shared.partitions();
        let damaged = |partition: &Arc<Partition>| {
            let damage = partition.state().damage.clone();
            let tp = partition.tp;
            damage.into_iter().map(move |damage| (tp, damage))
        };
        RecoveryReport {
            frames_replayed: self.frames,
            bytes_replayed: self.bytes,
            torn_tail: plan.torn,
            damaged_frames: plan
                .damaged
                .iter()
                .map(|(from, to)| (from.0, to.0))
                .collect(),
            damaged_partitions: partitions.iter().flat_map(damaged).collect(),
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
        if lock(&self.shared.garbage).topics.contains(&target.topic) {
            return;
        }
        let partition = self.shared.partition_or_new(target);
        let size = bytes.len();
        let new_producers = {
            let mut state = partition.state();
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

/// Batches up to `offset` are known to have been there but are gone.
fn skip_to(state: &mut State, offset: Offset) {
    if state.next_offset < offset {
        state.damage.push(Damage {
            from: state.next_offset,
            to: offset,
        });
        state.next_offset = offset;
        state.high_watermark = offset;
    }
}
