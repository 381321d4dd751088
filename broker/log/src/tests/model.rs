//! What a log must hold, kept beside it while a script runs, and the check of a recovered log
//! against it.
//!
//! The promises: what was acknowledged is at its offset; what was sent and not acknowledged is
//! there whole or not at all, together with all else of its frame; nothing else is there; order is
//! kept; nothing that was visible vanishes; duplicates are known exactly where the batch is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use avouch_protocol::batch::{BatchHeader, crc_matches};
use avouch_protocol::types::{Offset, TopicPartition};

use super::batches::{Spec, id_of, tp};
use super::harness::Driven;
use crate::locks::lock;
use crate::runtime::queue::Job;
use crate::{AppendOutcome, Damage, DuplicateCheck, ReadError};

/// Partitions that scripts use: partition 0 of topics 1 to this.
pub(super) const TOPICS: u128 = 4;

/// What was asked for and what was answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Model(Arc<Mutex<Facts>>);

#[derive(Clone, Debug, Default)]
struct Facts {
    sent: BTreeMap<u64, Sent>,
    acked: BTreeMap<u64, Offset>,
    /// Batches answered with anything but success or a storage failure: they must not be there.
    refused: BTreeSet<u64>,
    frames: Vec<Vec<u64>>,
    next_sequence: BTreeMap<u128, i32>,
    deletions: BTreeMap<u128, bool>,
    log_starts: BTreeMap<u128, Vec<(Offset, bool)>>,
    seen: BTreeMap<u128, Offset>,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    topic: u128,
    spec: Spec,
}

/// A batch that a script sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Send {
    pub(super) topic: u128,
    pub(super) idempotent: bool,
    pub(super) bytes: usize,
}

impl Model {
    /// A copy that goes its own way.
    pub(super) fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(lock(&self.0).clone())))
    }

    /// Makes the topics known that nobody asked to delete.
    pub(super) fn create_partitions(&self, driven: &Driven) -> Result<(), String> {
        let facts = lock(&self.0);
        for topic in (1..=TOPICS).filter(|topic| !facts.deletions.contains_key(topic)) {
            driven
                .log
                .create_partition(tp(topic))
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Queues one job of batches.
    pub(super) fn send(&self, driven: &Driven, sends: &[Send]) {
        let mut facts = lock(&self.0);
        let mut ids = Vec::new();
        let mut batches = Vec::new();
        for send in sends {
            let id = facts.sent.len() as u64 + 1;
            // Odd sizes too: else an offset with a flipped bit could be that of another batch.
            let records = 1 + i32::try_from(id % 3).unwrap();
            let producer = send.idempotent.then(|| {
                let sequence = facts.next_sequence.entry(send.topic).or_default();
                *sequence += records;
                (
                    100 + i64::try_from(send.topic).unwrap(),
                    0,
                    *sequence - records,
                )
            });
            let spec = Spec {
                records,
                bytes: send.bytes,
                producer,
                ..Spec::new(id)
            };
            facts.sent.insert(
                id,
                Sent {
                    topic: send.topic,
                    spec,
                },
            );
            ids.push(id);
            batches.push(spec.append_to(tp(send.topic)));
        }
        facts.frames.push(ids.clone());
        drop(facts);
        let facts = Arc::clone(&self.0);
        driven.log.append(
            batches,
            Box::new(move |outcomes| {
                let mut facts = lock(&facts);
                for (id, outcome) in ids.iter().zip(outcomes) {
                    facts.answer(*id, outcome);
                }
            }),
        );
    }

    pub(super) fn delete(&self, driven: &Driven, topic: u128) {
        lock(&self.0).deletions.insert(topic, false);
        let facts = Arc::clone(&self.0);
        driven.log.start_deletion(
            tp(topic).topic,
            Box::new(move |result| {
                if result.is_ok() {
                    lock(&facts).deletions.insert(topic, true);
                }
            }),
        );
    }

    /// Asks for a log start `back` offsets below the high watermark.
    pub(super) fn raise_log_start(&self, driven: &Driven, topic: u128, back: i64) {
        let Some(bounds) = driven.log.bounds(tp(topic)) else {
            return;
        };
        let offset = Offset((bounds.high_watermark.0 - back).max(0));
        let mut facts = lock(&self.0);
        let wishes = facts.log_starts.entry(topic).or_default();
        let at = wishes.len();
        wishes.push((offset, false));
        drop(facts);
        let facts = Arc::clone(&self.0);
        let done = move |result: Result<Offset, _>| {
            if result.is_ok() {
                lock(&facts).log_starts.entry(topic).or_default()[at].1 = true;
            }
        };
        let job = Job::LogStart {
            target: tp(topic),
            offset,
            done: Box::new(done),
        };
        driven.log.submit(job);
    }

    /// Takes note of what consumers could have seen.
    pub(super) fn look(&self, driven: &Driven) {
        let mut facts = lock(&self.0);
        for topic in 1..=TOPICS {
            if let Some(bounds) = driven.log.bounds(tp(topic)) {
                facts.seen.insert(topic, bounds.high_watermark);
            }
        }
    }

    /// Holds a recovered log against all promises. With `may_lose_tail` (mode `os` and a power
    /// cut) what was acknowledged may be gone from the end, and only from there.
    pub(super) fn check(&self, driven: &Driven, may_lose_tail: bool) -> Result<(), String> {
        let facts = lock(&self.0);
        let mut found = BTreeMap::new();
        for topic in 1..=TOPICS {
            facts.check_topic(driven, topic, may_lose_tail, &mut found)?;
        }
        let gone = |id: &u64| {
            let topic = facts.sent[id].topic;
            facts.deletions.contains_key(&topic) || facts.log_starts.contains_key(&topic)
        };
        for frame in &facts.frames {
            let there = |id: &&u64| found.contains_key(*id);
            let judged = frame
                .iter()
                .filter(|id| !gone(id) && !facts.refused.contains(id));
            let judged: Vec<_> = judged.collect();
            let count = judged.iter().copied().filter(there).count();
            if count != 0 && count != judged.len() {
                return Err(format!("of the frame {frame:?} only a part is there"));
            }
        }
        Ok(())
    }
}

impl Model {
    /// Holds a log with a damaged file against what must still be true: what is read was sent
    /// there and stands where it was acknowledged; what was acknowledged is read or refused as
    /// damaged; with `told` that frames are lost, it may also be missing behind all else. `sent`
    /// knows what else was sent.
    pub(super) fn check_damaged(
        &self,
        driven: &Driven,
        sent: &Self,
        told: bool,
    ) -> Result<(), String> {
        let (facts, sent) = (lock(&self.0), lock(&sent.0));
        for topic in 1..=TOPICS {
            facts.check_damaged_topic(driven, topic, &sent, told)?;
        }
        Ok(())
    }
}

impl Facts {
    fn check_damaged_topic(
        &self,
        driven: &Driven,
        topic: u128,
        everything: &Self,
        told: bool,
    ) -> Result<(), String> {
        let Some(bounds) = driven.log.bounds(tp(topic)) else {
            let expected = self.deletions.contains_key(&topic)
                || !self.acked.keys().any(|id| self.sent[id].topic == topic);
            return expected
                .then_some(())
                .ok_or(format!("topic {topic} is gone"));
        };
        let (there, refused) = read_around(driven, tp(topic))?;
        for (offset, id, batch) in &there {
            let sent = everything.sent.get(id).filter(|sent| sent.topic == topic);
            let is_same = sent.is_some_and(|sent| {
                let same = sent.spec.build();
                batch.len() == same.len() && batch[16..] == same[16..]
            });
            let acked = self.acked.get(id);
            if !is_same || acked.is_some_and(|acked| acked != offset) {
                return Err(format!("topic {topic}: batch {id} at {offset} is wrong"));
            }
        }
        for (id, offset) in &self.acked {
            let of_topic = self.sent[id].topic == topic && *offset >= bounds.log_start;
            let is_read = there.iter().any(|(at, ..)| at == offset);
            let is_told = told && *offset >= bounds.high_watermark;
            let is_refused = refused
                .iter()
                .any(|damage| damage.from <= *offset && *offset < damage.to);
            if of_topic
                && !is_read
                && !is_refused
                && !is_told
                && !self.deletions.contains_key(&topic)
            {
                return Err(format!(
                    "topic {topic}: acknowledged batch {id} at {offset} is gone without a word"
                ));
            }
        }
        Ok(())
    }

    fn answer(&mut self, id: u64, outcome: AppendOutcome) {
        match outcome {
            AppendOutcome::Appended { base_offset, .. } => {
                self.acked.insert(id, base_offset);
            }
            AppendOutcome::StorageFailed => {}
            AppendOutcome::Duplicate { .. }
            | AppendOutcome::OutOfOrderSequence
            | AppendOutcome::DuplicateSequence
            | AppendOutcome::InvalidProducerEpoch
            | AppendOutcome::UnknownPartition
            | AppendOutcome::GuardChanged
            | AppendOutcome::Malformed => {
                self.refused.insert(id);
            }
        }
    }

    fn check_topic(
        &self,
        driven: &Driven,
        topic: u128,
        may_lose_tail: bool,
        found: &mut BTreeMap<u64, Offset>,
    ) -> Result<(), String> {
        let Some(bounds) = driven.log.bounds(tp(topic)) else {
            let expected = self.deletions.contains_key(&topic)
                || may_lose_tail
                || !self.acked.keys().any(|id| self.sent[id].topic == topic);
            return expected
                .then_some(())
                .ok_or(format!("topic {topic} is gone"));
        };
        if self.deletions.get(&topic) == Some(&true) && !may_lose_tail {
            return Err(format!("deleted topic {topic} is back"));
        }
        self.check_log_start(topic, bounds.log_start, may_lose_tail)?;
        if self
            .seen
            .get(&topic)
            .is_some_and(|seen| bounds.high_watermark < *seen && !may_lose_tail)
        {
            return Err(format!(
                "topic {topic} went back to {}",
                bounds.high_watermark
            ));
        }
        let there = read_all(driven, tp(topic))?;
        let mut last_id = 0;
        for (offset, id, batch) in &there {
            let Some(sent) = self.sent.get(id).filter(|sent| sent.topic == topic) else {
                return Err(format!(
                    "topic {topic}: batch {id} at {offset} was never sent there"
                ));
            };
            let same = sent.spec.build();
            let is_same = batch.len() == same.len() && batch[16..] == same[16..];
            if *id <= last_id || self.refused.contains(id) || !is_same {
                return Err(format!(
                    "topic {topic}: batch {id} at {offset} is wrong there"
                ));
            }
            last_id = *id;
            found.insert(*id, *offset);
        }
        for (id, offset) in self
            .acked
            .iter()
            .filter(|(id, _)| self.sent[id].topic == topic)
        {
            let at = found.get(id);
            let is_lost = at.is_none() && *offset >= bounds.log_start && !may_lose_tail;
            if is_lost || at.is_some_and(|at| at != offset) {
                return Err(format!(
                    "topic {topic}: acknowledged batch {id} is not at {offset} but at {at:?}"
                ));
            }
        }
        self.check_producer(driven, topic, &there)
    }

    fn check_log_start(
        &self,
        topic: u128,
        log_start: Offset,
        may_lose_tail: bool,
    ) -> Result<(), String> {
        let none = Vec::new();
        let wishes = self.log_starts.get(&topic).unwrap_or(&none);
        let acked = wishes
            .iter()
            .filter(|(_, acked)| *acked)
            .map(|(offset, _)| *offset);
        let least = acked.max().unwrap_or_default();
        let most = wishes
            .iter()
            .map(|(offset, _)| *offset)
            .max()
            .unwrap_or_default();
        let is_lower = log_start < least && !may_lose_tail;
        if is_lower || log_start > most {
            return Err(format!(
                "topic {topic} starts at {log_start}, not {least} to {most}"
            ));
        }
        Ok(())
    }

    /// The producer's last five batches are known exactly if they are there.
    fn check_producer(
        &self,
        driven: &Driven,
        topic: u128,
        there: &[(Offset, u64, Vec<u8>)],
    ) -> Result<(), String> {
        let idempotent = self
            .sent
            .iter()
            .filter(|(_, sent)| sent.topic == topic && sent.spec.producer.is_some());
        let present: BTreeMap<u64, Offset> =
            there.iter().map(|(offset, id, _)| (*id, *offset)).collect();
        let recent: Vec<u64> = idempotent
            .clone()
            .map(|(id, _)| *id)
            .filter(|id| present.contains_key(id))
            .collect();
        let recent = &recent[recent.len().saturating_sub(5)..];
        let newest = recent.last().copied();
        for (id, sent) in idempotent {
            let header = BatchHeader::parse(&sent.spec.build()).unwrap();
            let check = driven.log.find_duplicate(tp(topic), &header);
            let expected = match present.get(id) {
                Some(offset) if recent.contains(id) => DuplicateCheck::Duplicate {
                    base_offset: *offset,
                    durable: true,
                },
                // Below the log start a batch may still be known.
                _ if newest.is_none_or(|newest| *id < newest) => continue,
                _ => DuplicateCheck::None,
            };
            if check != expected && !self.log_starts.contains_key(&topic) {
                return Err(format!(
                    "topic {topic}: batch {id}: {check:?}, not {expected:?}"
                ));
            }
        }
        Ok(())
    }
}

/// All batches of a partition with their offsets, read one by one and then in one go.
pub(super) fn read_all(
    driven: &Driven,
    tp: TopicPartition,
) -> Result<Vec<(Offset, u64, Vec<u8>)>, String> {
    let single = read_with(driven, tp, 1)?;
    let large = read_with(driven, tp, 1 << 20)?;
    if single != large {
        return Err(format!("{tp}: small and large reads differ"));
    }
    Ok(single)
}

fn read_with(
    driven: &Driven,
    tp: TopicPartition,
    max_bytes: usize,
) -> Result<Vec<(Offset, u64, Vec<u8>)>, String> {
    let bounds = driven.log.bounds(tp).ok_or("no such partition")?;
    let mut all = Vec::new();
    let mut next = bounds.log_start;
    while next < bounds.high_watermark {
        let read = driven.log.read(tp, next, max_bytes);
        let read = read.map_err(|error: ReadError| format!("{tp} at {next}: {error}"))?;
        if read.batches.is_empty() {
            return Err(format!("{tp}: nothing at {next}, below the high watermark"));
        }
        for batch in read.batches {
            let header = BatchHeader::parse(&batch).map_err(|error| error.to_string())?;
            let is_first = all.is_empty();
            let follows = header.base_offset == next || (is_first && header.base_offset < next);
            if !follows || !crc_matches(&batch) {
                return Err(format!("{tp}: {} follows {next}", header.base_offset));
            }
            next = header.next_offset();
            all.push((header.base_offset, id_of(&batch), batch.to_vec()));
        }
    }
    Ok(all)
}

/// Batches with their offsets, and what was refused as damaged between them.
type Around = (Vec<(Offset, u64, Vec<u8>)>, Vec<Damage>);

fn read_around(driven: &Driven, tp: TopicPartition) -> Result<Around, String> {
    let bounds = driven.log.bounds(tp).ok_or("no such partition")?;
    let (mut there, mut refused) = (Vec::new(), Vec::new());
    let mut next = bounds.log_start;
    while next < bounds.high_watermark {
        match driven.log.read(tp, next, 1) {
            Ok(read) => {
                let batch = read.batches.first().ok_or(format!("nothing at {next}"))?;
                let header = BatchHeader::parse(batch).map_err(|error| error.to_string())?;
                there.push((header.base_offset, id_of(batch), batch.to_vec()));
                next = header.next_offset();
            }
            Err(ReadError::Corrupt { damage }) if damage.to > next => {
                refused.push(damage);
                next = damage.to;
            }
            Err(error) => return Err(format!("{tp} at {next}: {error}")),
        }
    }
    Ok((there, refused))
}
