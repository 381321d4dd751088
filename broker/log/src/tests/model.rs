//! Model of a log's contents, maintained while a script runs, and the check of a recovered log
//! against it.
//!
//! The properties: acknowledged batches are at their offsets; unacknowledged ones are complete or
//! missing together with their frame; nothing else exists; the order is kept; visible batches do
//! not disappear; duplicates are detected exactly if the original exists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use avouch_protocol::batch::{BatchHeader, crc_matches};
use avouch_protocol::types::{Offset, TopicPartition};

use super::batches::{Spec, id_of, tp};
use super::harness::Driven;
use crate::locks::lock;
use crate::runtime::queue::Job;
use crate::{AppendOutcome, CorruptRange, DuplicateCheck, ReadError};

/// Scripts use partition 0 of topics 1 to this.
pub(super) const TOPICS: u128 = 4;

/// Requests and their outcomes.
#[derive(Clone, Debug, Default)]
pub(super) struct Model(Arc<Mutex<Facts>>);

#[derive(Clone, Debug, Default)]
struct Facts {
    sent: BTreeMap<u64, Sent>,
    acked: BTreeMap<u64, Offset>,
    /// Batches with an outcome other than success or storage failure, which must not exist.
    rejected: BTreeSet<u64>,
    frames: Vec<Vec<u64>>,
    next_sequence: BTreeMap<u128, i32>,
    deletions: BTreeMap<u128, bool>,
    log_starts: BTreeMap<u128, Vec<(Offset, bool)>>,
    observed: BTreeMap<u128, Offset>,
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
    /// Returns an independent copy.
    pub(super) fn fork(&self) -> Self {
        Self(Arc::new(Mutex::new(lock(&self.0).clone())))
    }

    /// Creates the topics that were not deleted.
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
            // With even sizes an offset with a flipped bit could be that of another batch.
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
                    facts.note_outcome(*id, outcome);
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

    /// Requests a log start `back` offsets below the high watermark.
    pub(super) fn raise_log_start(&self, driven: &Driven, topic: u128, back: i64) {
        let Some(bounds) = driven.log.bounds(tp(topic)) else {
            return;
        };
        let offset = Offset((bounds.high_watermark.0 - back).max(0));
        let mut facts = lock(&self.0);
        let requested = facts.log_starts.entry(topic).or_default();
        let at = requested.len();
        requested.push((offset, false));
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

    /// Records the offsets that consumers could have fetched.
    pub(super) fn look(&self, driven: &Driven) {
        let mut facts = lock(&self.0);
        for topic in 1..=TOPICS {
            if let Some(bounds) = driven.log.bounds(tp(topic)) {
                facts.observed.insert(topic, bounds.high_watermark);
            }
        }
    }

    /// Checks a recovered log against all properties. With `may_lose_tail` (mode `os` and a power
    /// loss) acknowledged batches may be missing at the end.
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
            let checked = frame
                .iter()
                .filter(|id| !gone(id) && !facts.rejected.contains(id));
            let checked: Vec<_> = checked.collect();
            let count = checked.iter().copied().filter(there).count();
            if count != 0 && count != checked.len() {
                return Err(format!("of the frame {frame:?} only a part is there"));
            }
        }
        Ok(())
    }
}

impl Model {
    /// Checks a log with a corrupt file: what is read was sent and is at its acknowledged offset;
    /// acknowledged batches are read or rejected as corrupt, and with `reported` (missing frames)
    /// may also be missing at the end. `sent` returns further batches that were sent.
    pub(super) fn check_corrupt(
        &self,
        driven: &Driven,
        sent: &Self,
        reported: bool,
    ) -> Result<(), String> {
        let (facts, sent) = (lock(&self.0), lock(&sent.0));
        for topic in 1..=TOPICS {
            facts.check_corrupt_topic(driven, topic, &sent, reported)?;
        }
        Ok(())
    }
}

impl Facts {
    fn check_corrupt_topic(
        &self,
        driven: &Driven,
        topic: u128,
        everything: &Self,
        reported: bool,
    ) -> Result<(), String> {
        let Some(bounds) = driven.log.bounds(tp(topic)) else {
            let expected = self.deletions.contains_key(&topic)
                || !self.acked.keys().any(|id| self.sent[id].topic == topic);
            return expected
                .then_some(())
                .ok_or(format!("topic {topic} is gone"));
        };
        let (there, rejected) = read_around(driven, tp(topic))?;
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
            let is_reported = reported && *offset >= bounds.high_watermark;
            let is_rejected = rejected
                .iter()
                .any(|range| range.from <= *offset && *offset < range.to);
            if of_topic
                && !is_read
                && !is_rejected
                && !is_reported
                && !self.deletions.contains_key(&topic)
            {
                return Err(format!(
                    "topic {topic}: acknowledged batch {id} at {offset} is gone without a word"
                ));
            }
        }
        Ok(())
    }

    fn note_outcome(&mut self, id: u64, outcome: AppendOutcome) {
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
                self.rejected.insert(id);
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
            .observed
            .get(&topic)
            .is_some_and(|observed| bounds.high_watermark < *observed && !may_lose_tail)
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
            if *id <= last_id || self.rejected.contains(id) || !is_same {
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
        let requested = self.log_starts.get(&topic).unwrap_or(&none);
        let acked = requested
            .iter()
            .filter(|(_, acked)| *acked)
            .map(|(offset, _)| *offset);
        let min = acked.max().unwrap_or_default();
        let max = requested
            .iter()
            .map(|(offset, _)| *offset)
            .max()
            .unwrap_or_default();
        let is_lower = log_start < min && !may_lose_tail;
        if is_lower || log_start > max {
            return Err(format!(
                "topic {topic} starts at {log_start}, not {min} to {max}"
            ));
        }
        Ok(())
    }

    /// Checks that the producer's last five batches are detected as duplicates if they exist.
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
                // Batches below the log start may still be known.
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

/// Returns all batches of a partition with their offsets, read one by one and all at once.
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

/// Returns the batches with their offsets and the corrupt ranges between them.
type Around = (Vec<(Offset, u64, Vec<u8>)>, Vec<CorruptRange>);

fn read_around(driven: &Driven, tp: TopicPartition) -> Result<Around, String> {
    let bounds = driven.log.bounds(tp).ok_or("no such partition")?;
    let (mut there, mut rejected) = (Vec::new(), Vec::new());
    let mut next = bounds.log_start;
    while next < bounds.high_watermark {
        match driven.log.read(tp, next, 1) {
            Ok(read) => {
                let batch = read.batches.first().ok_or(format!("nothing at {next}"))?;
                let header = BatchHeader::parse(batch).map_err(|error| error.to_string())?;
                there.push((header.base_offset, id_of(batch), batch.to_vec()));
                next = header.next_offset();
            }
            Err(ReadError::Corrupt { range }) if range.to > next => {
                rejected.push(range);
                next = range.to;
            }
            Err(error) => return Err(format!("{tp} at {next}: {error}")),
        }
    }
    Ok((there, rejected))
}
