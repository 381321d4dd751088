//! State of the idempotent producers of one partition: the epoch and the last five batches of each
//! (KIP-98, KIP-679).
//!
//! Invariant: batches that are not durable are kept apart, so a snapshot contains only what a
//! restart would find. Pure.

use std::collections::{HashMap, VecDeque};

use avouch_protocol::batch::BatchHeader;
use avouch_protocol::types::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};

use crate::api::ProducerInfo;
use crate::wal::frame::FrameSeq;

/// Batches stored per producer: the maximum that a client has in flight.
pub(crate) const BATCHES_KEPT: usize = 5;

/// A batch of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SentBatch {
    pub(crate) base_sequence: Sequence,
    pub(crate) last_sequence: Sequence,
    pub(crate) base_offset: Offset,
}

/// State of one producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Producer {
    pub(crate) epoch: ProducerEpoch,
    /// Oldest first, at most [`BATCHES_KEPT`].
    pub(crate) batches: VecDeque<SentBatch>,
    /// Time at which it was first found idle; none if it sent a batch since then.
    pub(crate) idle_since: Option<TimestampMs>,
    /// WAL frame of its last batch; 0 if it comes from a checkpoint.
    pub(crate) last_used: FrameSeq,
}

/// Order of last use, oldest first: producers restored from a checkpoint, by the time they
/// became idle, then by frame.
pub(crate) type LastUse = (FrameSeq, TimestampMs, ProducerId);

/// Result of a sequence check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SequenceCheck {
    Append,
    Duplicate {
        base_offset: Offset,
    },
    /// Older than the stored batches.
    DuplicateSequence,
    OutOfOrder,
    OldEpoch,
}

/// All producers of one partition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Producers {
    durable: HashMap<ProducerId, Producer>,
    staged: HashMap<ProducerId, Producer>,
}

impl Producers {
    /// Checks the sequence of a batch, taking staged batches into account. An unknown producer may
    /// start at any sequence, because its state may have been removed with its records.
    pub(crate) fn check(&self, header: &BatchHeader) -> SequenceCheck {
        if !takes_part(header) {
            return SequenceCheck::Append;
        }
        let id = header.producer_id;
        match self.staged.get(&id).or_else(|| self.durable.get(&id)) {
            Some(producer) => producer.check(header),
            None => SequenceCheck::Append,
        }
    }

    /// Adds a batch at `base_offset` that is not durable yet.
    pub(crate) fn stage(&mut self, header: &BatchHeader, base_offset: Offset) {
        if !takes_part(header) {
            return;
        }
        let id = header.producer_id;
        // The staged state starts as a copy, so a failed commit leaves the durable one unchanged.
        let durable = &self.durable;
        let producer = self.staged.entry(id).or_insert_with(|| {
            durable
                .get(&id)
                .cloned()
                .unwrap_or_else(|| Producer::new(header.producer_epoch))
        });
        producer.record(header, base_offset);
    }

    /// Marks all staged batches as durable, the last of them in frame `seq`.
    pub(crate) fn commit(&mut self, seq: FrameSeq) {
        let used = |(id, producer)| {
            let last_used = seq;
            (
                id,
                Producer {
                    last_used,
                    ..producer
                },
            )
        };
        self.durable.extend(self.staged.drain().map(used));
    }

    /// Returns the number of producers with durable batches.
    pub(crate) fn len(&self) -> usize {
        self.durable.len()
    }

    /// Returns the last use of each producer.
    pub(crate) fn last_uses(&self) -> impl Iterator<Item = LastUse> {
        self.durable
            .iter()
            .map(|(id, producer)| producer.last_use(*id))
    }

    /// Removes producers last used before `oldest_kept` that have no staged batch.
    pub(crate) fn forget_before(&mut self, oldest_kept: LastUse) {
        let staged = &self.staged;
        self.durable.retain(|id, producer| {
            producer.last_use(*id) >= oldest_kept || staged.contains_key(id)
        });
    }

    /// Returns the base offset of the original of a batch and whether it is durable.
    pub(crate) fn find_duplicate(&self, header: &BatchHeader) -> Option<(Offset, bool)> {
        if !takes_part(header) {
            return None;
        }
        let find = |producers: &HashMap<ProducerId, Producer>| {
            producers
                .get(&header.producer_id)
                .and_then(|producer| producer.duplicate_of(header))
        };
        match find(&self.durable) {
            Some(offset) => Some((offset, true)),
            None => find(&self.staged).map(|offset| (offset, false)),
        }
    }

    /// Returns the producers, sorted by id, with their batches below `end`. Replay of the batches
    /// from `end` on restores the same state.
    pub(crate) fn snapshot(&self, end: Offset) -> Vec<(ProducerId, Producer)> {
        let below = |producer: &Producer| {
            let batches: VecDeque<SentBatch> = producer
                .batches
                .iter()
                .copied()
                .filter(|batch| batch.base_offset < end)
                .collect();
            (!batches.is_empty()).then_some(Producer {
                epoch: producer.epoch,
                batches,
                idle_since: producer.idle_since,
                last_used: producer.last_used,
            })
        };
        let mut snapshot: Vec<_> = self
            .durable
            .iter()
            .filter_map(|(id, producer)| below(producer).map(|producer| (*id, producer)))
            .collect();
        snapshot.sort_unstable_by_key(|(id, _)| *id);
        snapshot
    }

    /// Removes producers without a batch for `expiration_ms` (`producer.id.expiration.ms`). A
    /// producer is idle from the first call after its last batch.
    pub(crate) fn expire(&mut self, now: TimestampMs, expiration_ms: i64) {
        let staged = &self.staged;
        self.durable.retain(|id, producer| {
            // The wall clock of a batch is not stored; idleness is measured between two maintenance
            // calls.
            let since = *producer.idle_since.get_or_insert(now);
            staged.contains_key(id) || now.0.saturating_sub(since.0) < expiration_ms
        });
    }

    /// Returns the durable state of each producer, sorted by id.
    pub(crate) fn describe(&self) -> Vec<ProducerInfo> {
        let mut producers: Vec<ProducerInfo> = self
            .durable
            .iter()
            .filter_map(|(id, producer)| {
                let last = producer.batches.back()?;
                Some(ProducerInfo {
                    id: *id,
                    epoch: producer.epoch,
                    last_sequence: last.last_sequence,
                    last_offset: last.base_offset,
                })
            })
            .collect();
        producers.sort_unstable_by_key(|producer| producer.id);
        producers
    }

    /// Returns the base offset of each producer's last batch.
    pub(crate) fn last_offsets(&self) -> HashMap<ProducerId, Offset> {
        let last = |(id, producer): (&ProducerId, &Producer)| {
            producer
                .batches
                .back()
                .map(|batch| (*id, batch.base_offset))
        };
        self.durable.iter().filter_map(last).collect()
    }

    /// Restores the state from a snapshot.
    pub(crate) fn restore(snapshot: Vec<(ProducerId, Producer)>) -> Self {
        Self {
            durable: snapshot.into_iter().collect(),
            staged: HashMap::new(),
        }
    }
}

impl Producer {
    fn new(epoch: ProducerEpoch) -> Self {
        Self {
            epoch,
            batches: VecDeque::new(),
            idle_since: None,
            last_used: FrameSeq(0),
        }
    }

    fn last_use(&self, id: ProducerId) -> LastUse {
        let idle_since = self.idle_since.unwrap_or(TimestampMs(i64::MAX));
        (self.last_used, idle_since, id)
    }

    fn check(&self, header: &BatchHeader) -> SequenceCheck {
        if header.producer_epoch < self.epoch {
            return SequenceCheck::OldEpoch;
        }
        // A new epoch starts at sequence 0 (KIP-360).
        if header.producer_epoch > self.epoch {
            return if header.base_sequence == Sequence(0) {
                SequenceCheck::Append
            } else {
                SequenceCheck::OutOfOrder
            };
        }
        if let Some(base_offset) = self.duplicate_of(header) {
            return SequenceCheck::Duplicate { base_offset };
        }
        let Some(last) = self.batches.back() else {
            return SequenceCheck::Append;
        };
        let expected = last.last_sequence.0.wrapping_add(1) & i32::MAX;
        // Sequence numbers wrap at 2^31. A number less than half of that before the expected one is
        // old, any other is ahead.
        let distance = expected.wrapping_sub(header.base_sequence.0) & i32::MAX;
        match distance {
            0 => SequenceCheck::Append,
            1..=0x3fff_ffff => SequenceCheck::DuplicateSequence,
            _ => SequenceCheck::OutOfOrder,
        }
    }

    fn duplicate_of(&self, header: &BatchHeader) -> Option<Offset> {
        if header.producer_epoch != self.epoch {
            return None;
        }
        let same = |batch: &&SentBatch| {
            batch.base_sequence == header.base_sequence
                && batch.last_sequence == header.last_sequence()
        };
        self.batches
            .iter()
            .find(same)
            .map(|batch| batch.base_offset)
    }

    fn record(&mut self, header: &BatchHeader, base_offset: Offset) {
        if header.producer_epoch != self.epoch {
            // Sequences of the old epoch are never valid again.
            *self = Self::new(header.producer_epoch);
        }
        self.idle_since = None;
        if self.batches.len() == BATCHES_KEPT {
            self.batches.pop_front();
        }
        self.batches.push_back(SentBatch {
            base_sequence: header.base_sequence,
            last_sequence: header.last_sequence(),
            base_offset,
        });
    }
}

// Control batches have a producer but no sequence (KIP-98).
fn takes_part(header: &BatchHeader) -> bool {
    header.has_producer() && header.base_sequence.0 >= 0 && !header.is_control()
}

#[cfg(test)]
mod tests {
    use avouch_protocol::types::LeaderEpoch;

    use super::*;

    fn header(epoch: i16, base_sequence: i32, records: i32) -> BatchHeader {
        BatchHeader {
            base_offset: Offset(0),
            size_bytes: 61,
            leader_epoch: LeaderEpoch(0),
            crc: 0,
            attributes: 0,
            last_offset_delta: records - 1,
            base_timestamp: TimestampMs(0),
            max_timestamp: TimestampMs(0),
            producer_id: ProducerId(7),
            producer_epoch: ProducerEpoch(epoch),
            base_sequence: Sequence(base_sequence),
            record_count: records,
        }
    }

    /// Epoch, base sequence, records.
    type Sent = (i16, i32, i32);

    fn after(batches: &[Sent]) -> Producers {
        let mut producers = Producers::default();
        for ((epoch, base, records), at) in batches.iter().zip(0..) {
            producers.stage(&header(*epoch, *base, *records), Offset(at * 100));
            producers.commit(FrameSeq(0));
        }
        producers
    }

    #[test]
    fn sequence_check_uses_the_last_five_batches() {
        use SequenceCheck::{Append, Duplicate, DuplicateSequence, OldEpoch, OutOfOrder};
        let six = [
            (1, 0, 2),
            (1, 2, 2),
            (1, 4, 2),
            (1, 6, 2),
            (1, 8, 2),
            (1, 10, 2),
        ];
        let wrap = [(0, i32::MAX - 1, 2)];
        let wrap_inside = [(0, i32::MAX, 3)];
        let cases: &[(&[Sent], Sent, SequenceCheck)] = &[
            (&[], (3, 77, 1), Append),
            (&six, (1, 12, 1), Append),
            (&six, (1, 13, 1), OutOfOrder),
            (
                &six,
                (1, 10, 2),
                Duplicate {
                    base_offset: Offset(500),
                },
            ),
            (
                &six,
                (1, 2, 2),
                Duplicate {
                    base_offset: Offset(100),
                },
            ),
            (&six, (1, 0, 2), DuplicateSequence),
            (&six, (1, 10, 1), DuplicateSequence),
            (&six, (0, 12, 1), OldEpoch),
            (&six, (2, 12, 1), OutOfOrder),
            (&six, (2, 0, 1), Append),
            (&wrap, (0, 0, 1), Append),
            (&wrap, (0, 1, 1), OutOfOrder),
            (&wrap_inside, (0, 2, 1), Append),
        ];
        for (before, (epoch, base, records), expected) in cases {
            let verdict = after(before).check(&header(*epoch, *base, *records));
            assert_eq!(
                verdict, *expected,
                "{before:?} then {epoch}/{base}x{records}"
            );
        }
    }

    #[test]
    fn staged_batches_are_checked_but_not_snapshotted() {
        let mut producers = after(&[(0, 0, 1)]);
        producers.stage(&header(0, 1, 1), Offset(100));
        assert_eq!(producers.check(&header(0, 2, 1)), SequenceCheck::Append);
        assert_eq!(
            producers.find_duplicate(&header(0, 1, 1)),
            Some((Offset(100), false))
        );
        assert_eq!(producers.snapshot(Offset(1000))[0].1.batches.len(), 1);
        producers.commit(FrameSeq(0));
        assert_eq!(
            producers.find_duplicate(&header(0, 1, 1)),
            Some((Offset(100), true))
        );
        assert_eq!(producers.snapshot(Offset(1000))[0].1.batches.len(), 2);
        assert_eq!(producers.snapshot(Offset(100))[0].1.batches.len(), 1);
    }

    // Conformance: log/9
    #[test]
    fn idle_producer_expires() {
        let mut producers = after(&[(0, 0, 1)]);
        let known = |producers: &Producers| !producers.snapshot(Offset(1000)).is_empty();
        producers.expire(TimestampMs(1_000), 500);
        producers.expire(TimestampMs(1_499), 500);
        assert!(known(&producers));
        producers.stage(&header(0, 1, 1), Offset(100));
        producers.expire(TimestampMs(1_600), 500);
        producers.commit(FrameSeq(0));
        assert!(known(&producers), "what it sent meanwhile counts");
        producers.expire(TimestampMs(1_700), 500);
        producers = Producers::restore(producers.snapshot(Offset(1000)));
        producers.expire(TimestampMs(2_199), 500);
        assert!(known(&producers));
        producers.expire(TimestampMs(2_200), 500);
        assert!(!known(&producers));
        assert_eq!(producers.check(&header(0, 77, 1)), SequenceCheck::Append);
    }

    #[test]
    fn snapshot_plus_replay_restores_the_state() {
        let sent: Vec<_> = (0..9).map(|at| (0, at * 3, 3)).collect();
        let whole = after(&sent);
        for cut in 0..=9 {
            let end = Offset(cut * 100);
            let mut restored = Producers::restore(whole.snapshot(end));
            for ((epoch, base, records), at) in sent.iter().zip(0..) {
                let offset = Offset(at * 100);
                if offset >= end {
                    restored.stage(&header(*epoch, *base, *records), offset);
                    restored.commit(FrameSeq(0));
                }
            }
            assert_eq!(
                restored.snapshot(Offset(1000)),
                whole.snapshot(Offset(1000))
            );
        }
    }

    // Conformance: broker/input-10c
    #[test]
    fn eviction_keeps_recent_and_staged_producers() {
        let of = |id| BatchHeader {
            producer_id: ProducerId(id),
            ..header(0, 0, 1)
        };
        let mut producers = Producers::default();
        for (id, seq) in [(1, 1), (2, 2), (3, 3), (1, 4)] {
            producers.stage(&of(id), Offset(0));
            producers.commit(FrameSeq(seq));
        }
        producers.stage(&of(2), Offset(9));
        let mut uses: Vec<LastUse> = producers.last_uses().collect();
        uses.sort_unstable();
        let order: Vec<i64> = uses.iter().map(|(.., id)| id.0).collect();
        assert_eq!(order, [2, 3, 1]);
        producers.forget_before(uses[2]);
        let kept = producers.snapshot(Offset(1_000));
        let kept: Vec<i64> = kept.iter().map(|(id, _)| id.0).collect();
        assert_eq!(kept, [1, 2]);
    }
}
