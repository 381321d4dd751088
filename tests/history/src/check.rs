//! Checks a history against all invariants.
//!
//! One fault is reported once, by the most specific invariant: an acknowledgement with a wrong
//! offset does not count as a second value at that offset, and values at an offset with two values
//! are not checked further.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{
    Event, GroupName, History, Observer, PartitionOffset, Producer, Reader, Watermarks,
};
use crate::polls::check_polls;
use crate::violation::Violation;

/// Returns all violations, none if every invariant holds.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let facts = Facts::of(history);
    let mut wrong = Vec::new();
    // The order matters: later checks ignore what earlier ones reported.
    let misplaced = check_acks(&facts, &mut wrong);
    let contested = check_values(&facts, &misplaced, &mut wrong);
    check_places(&facts, &contested, &mut wrong);
    check_lost(&facts, &misplaced, &mut wrong);
    check_sends(&facts, &misplaced, &mut wrong);
    check_polls(history, &mut wrong);
    check_commits(history, &mut wrong);
    check_watermarks(history, &mut wrong);
    check_times(history, &facts, &mut wrong);
    wrong
}

/// A history indexed by value and by offset.
#[derive(Debug, Default)]
struct Facts<'a> {
    sent: BTreeSet<&'a str>,
    rejected: BTreeSet<&'a str>,
    acked: BTreeMap<&'a str, PartitionOffset>,
    /// Values in send order.
    sends: BTreeMap<(Producer, i32), Vec<&'a str>>,
    /// Values read at each offset, in the order of their first read.
    read_at: BTreeMap<PartitionOffset, Vec<&'a str>>,
    /// Offsets at which each value was read.
    places: BTreeMap<&'a str, BTreeSet<PartitionOffset>>,
    /// Offsets read by each reader.
    read_by: BTreeMap<Reader, BTreeSet<PartitionOffset>>,
    /// The last reader that read all partitions completely.
    last: Option<Reader>,
    log_start: BTreeMap<i32, i64>,
}

impl<'a> Facts<'a> {
    fn of(history: &'a History) -> Self {
        let mut facts = Self::default();
        for event in &history.events {
            facts.record(event);
        }
        facts
    }

    fn record(&mut self, event: &'a Event) {
        match event {
            Event::Sent {
                producer,
                partition,
                value,
            } => {
                self.sent.insert(value);
                let key = (*producer, *partition);
                self.sends.entry(key).or_default().push(value);
            }
            Event::Acked { value, at } => {
                self.acked.insert(value, *at);
            }
            Event::Rejected { value } => {
                self.rejected.insert(value);
            }
            Event::Polled {
                reader,
                partition,
                records,
            } => {
                for (offset, value) in records {
                    self.record_read(*reader, PartitionOffset::new(*partition, *offset), value);
                }
            }
            Event::ReadAll { reader } => self.last = Some(*reader),
            Event::Observed {
                partition,
                watermarks,
                ..
            } => {
                let log_start = self.log_start.entry(*partition).or_default();
                // Observers can be late, and the log start never decreases.
                *log_start = (*log_start).max(watermarks.log_start);
            }
            Event::OffsetForTime { .. } | Event::Committed { .. } | Event::Fetched { .. } => {}
        }
    }

    fn record_read(&mut self, reader: Reader, at: PartitionOffset, value: &'a str) {
        let values = self.read_at.entry(at).or_default();
        // Two readers of one value are not two values.
        if !values.contains(&value) {
            values.push(value);
        }
        self.places.entry(value).or_default().insert(at);
        self.read_by.entry(reader).or_default().insert(at);
    }
}

/// Returns the values that were acknowledged at an offset other than the one where they are read.
fn check_acks<'a>(facts: &Facts<'a>, wrong: &mut Vec<Violation>) -> BTreeSet<&'a str> {
    let mut misplaced = BTreeSet::new();
    for (value, acked) in &facts.acked {
        let Some(places) = facts.places.get(value).filter(|at| !at.contains(acked)) else {
            continue;
        };
        // If another value is read there too, the reads contradict each other: `check_values`
        // reports that.
        let alone = |at: &&PartitionOffset| {
            facts
                .read_at
                .get(at)
                .is_some_and(|values| values.len() == 1)
        };
        if let Some(read) = places.iter().find(alone) {
            misplaced.insert(*value);
            wrong.push(Violation::AckMismatch {
                value: (*value).to_owned(),
                acked: *acked,
                read: *read,
            });
        }
    }
    misplaced
}

/// Returns the offsets with two values, by reads and by acknowledgements.
fn check_values(
    facts: &Facts<'_>,
    misplaced: &BTreeSet<&str>,
    wrong: &mut Vec<Violation>,
) -> BTreeSet<PartitionOffset> {
    let mut values = facts.read_at.clone();
    for (value, at) in facts
        .acked
        .iter()
        .filter(|(value, _)| !misplaced.contains(*value))
    {
        let there = values.entry(*at).or_default();
        if !there.contains(value) {
            there.push(value);
        }
    }
    let mut contested = BTreeSet::new();
    for (at, values) in values {
        if let [first, second, ..] = values.as_slice() {
            contested.insert(at);
            wrong.push(Violation::TwoValues {
                at,
                first: (*first).to_owned(),
                second: (*second).to_owned(),
            });
        }
    }
    contested
}

/// Checks for values at two offsets, values that were never sent, and values that were rejected.
fn check_places(
    facts: &Facts<'_>,
    contested: &BTreeSet<PartitionOffset>,
    wrong: &mut Vec<Violation>,
) {
    for (value, places) in &facts.places {
        let mut places = places.iter().filter(|at| !contested.contains(at));
        let Some(first) = places.next() else {
            continue;
        };
        let (value, at) = ((*value).to_owned(), *first);
        if let Some(second) = places.next() {
            let second = *second;
            let value = value.clone();
            wrong.push(Violation::TwoPlaces {
                value,
                first: at,
                second,
            });
        }
        if facts.rejected.contains(value.as_str()) {
            wrong.push(Violation::RejectedRead { value, at });
        // A rejected value was sent, so it is not reported twice.
        } else if !facts.sent.contains(value.as_str()) {
            wrong.push(Violation::NeverSent { value, at });
        }
    }
}

/// Checks for offsets that were acknowledged or read, and that the last reader did not read.
fn check_lost(facts: &Facts<'_>, misplaced: &BTreeSet<&str>, wrong: &mut Vec<Violation>) {
    let Some(last) = facts.last else {
        wrong.push(Violation::IncompleteRead);
        return;
    };
    let none = BTreeSet::new();
    // Earlier readers may have read only a part.
    let read = facts.read_by.get(&last).unwrap_or(&none);
    let mut expected = BTreeMap::new();
    for (at, values) in &facts.read_at {
        // A value that was read once must not disappear, even without an acknowledgement.
        expected.extend(values.first().map(|value| (*at, *value)));
    }
    let acked = facts
        .acked
        .iter()
        .filter(|(value, _)| !misplaced.contains(*value));
    expected.extend(acked.map(|(value, at)| (*at, *value)));
    for (at, value) in expected {
        // Records below the log start offset were deleted, not lost.
        let starts = facts.log_start.get(&at.partition).copied().unwrap_or(0);
        if at.offset >= starts && !read.contains(&at) {
            let value = value.to_owned();
            wrong.push(Violation::Lost { value, at });
        }
    }
}

fn check_sends(facts: &Facts<'_>, misplaced: &BTreeSet<&str>, wrong: &mut Vec<Violation>) {
    for ((producer, _), values) in &facts.sends {
        let placed = values.iter().filter(|value| !misplaced.contains(*value));
        let places = placed.filter_map(|value| facts.acked.get(value));
        let mut highest: Option<&PartitionOffset> = None;
        for at in places {
            match highest {
                // The highest offset stays the reference, so that one late record is reported once.
                Some(later) if at.offset <= later.offset => wrong.push(Violation::SendsReordered {
                    producer: *producer,
                    later: *later,
                    earlier: *at,
                }),
                Some(_) | None => highest = Some(at),
            }
        }
    }
}

fn check_commits(history: &History, wrong: &mut Vec<Violation>) {
    let mut highest: BTreeMap<(&GroupName, i32), i64> = BTreeMap::new();
    for event in &history.events {
        match event {
            Event::Committed { group, at } => {
                let offset = highest.entry((group, at.partition)).or_default();
                *offset = (*offset).max(at.offset);
            }
            Event::Fetched {
                group,
                partition,
                offset,
            } => match highest.get(&(group, *partition)) {
                // A higher offset is valid: a commit without an acknowledgement can be stored.
                Some(committed) if offset.is_none_or(|found| found < *committed) => {
                    wrong.push(Violation::CommitLost {
                        group: group.clone(),
                        committed: PartitionOffset::new(*partition, *committed),
                        found: *offset,
                    });
                }
                Some(_) | None => {}
            },
            Event::Sent { .. }
            | Event::Acked { .. }
            | Event::Rejected { .. }
            | Event::Polled { .. }
            | Event::ReadAll { .. }
            | Event::Observed { .. }
            | Event::OffsetForTime { .. } => {}
        }
    }
}

fn check_watermarks(history: &History, wrong: &mut Vec<Violation>) {
    let mut newest: BTreeMap<(Observer, i32), Watermarks> = BTreeMap::new();
    for event in &history.events {
        let Event::Observed {
            observer,
            partition,
            watermarks,
        } = event
        else {
            continue;
        };
        let now = *watermarks;
        // Only responses to the same observer have a known order.
        let before = newest.insert((*observer, *partition), now).unwrap_or(now);
        let in_order = now.log_start <= now.last_stable && now.last_stable <= now.high_watermark;
        let grew = before.log_start <= now.log_start
            && before.last_stable <= now.last_stable
            && before.high_watermark <= now.high_watermark;
        if !in_order || !grew {
            wrong.push(Violation::WatermarksWentBack {
                observer: *observer,
                partition: *partition,
                before,
                now,
            });
        }
    }
}

/// Offsets found by timestamp lookups, by partition and timestamp: minimum and maximum result.
type Found = BTreeMap<i32, BTreeMap<i64, (i64, i64)>>;

fn check_times(history: &History, facts: &Facts<'_>, wrong: &mut Vec<Violation>) {
    let mut all = Found::new();
    for event in &history.events {
        let Event::OffsetForTime {
            partition,
            timestamp,
            found,
        } = event
        else {
            continue;
        };
        let log_start = facts.log_start.get(partition).copied().unwrap_or(0);
        let known = all.entry(*partition).or_default();
        // Offsets are monotonic in the timestamp: the result is at least that of any earlier
        // timestamp, and at most that of any later one whose record still exists.
        let earlier = known.range(..=timestamp);
        let earlier = earlier.map(|(other, (_, max))| (*max, *other)).max();
        let later = known.range(timestamp..);
        let later = later.map(|(other, (min, _))| (*min, *other));
        let later = later.filter(|(min, _)| *min >= log_start).min();
        let too_early = earlier.filter(|(before, _)| found.is_some_and(|found| found < *before));
        let too_late = later.filter(|(before, _)| found.is_none_or(|found| found > *before));
        if let Some((before, other)) = too_early.or(too_late) {
            wrong.push(Violation::TimestampLookupsDisagree {
                partition: *partition,
                timestamp: *timestamp,
                found: *found,
                other,
                before,
            });
        }
        if let Some(found) = *found {
            let results = known.entry(*timestamp).or_insert((found, found));
            *results = (results.0.min(found), results.1.max(found));
        }
    }
}
