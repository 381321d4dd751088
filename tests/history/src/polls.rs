//! Checks that readers receive offsets in order and skip none that other readers received.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, History, PartitionOffset, Reader};
use crate::violation::Violation;

/// Checks the order within each poll and between consecutive polls. An offset that no reader ever
/// received can be a control record, a compacted record or a gap, so skipping it is not a
/// violation.
pub(crate) fn check_polls(history: &History, wrong: &mut Vec<Violation>) {
    let visible = visible(history);
    let mut positions: BTreeMap<(Reader, i32), PartitionOffset> = BTreeMap::new();
    for event in &history.events {
        let Event::Polled {
            reader,
            partition,
            records,
        } = event
        else {
            continue;
        };
        let places = records
            .iter()
            .map(|(offset, _)| PartitionOffset::new(*partition, *offset));
        let places: Vec<PartitionOffset> = places.collect();
        let step = |after: PartitionOffset, at: PartitionOffset, in_one_poll: bool| {
            let step = Step {
                reader: *reader,
                after,
                at,
                in_one_poll,
            };
            step.check(&visible)
        };
        let position = positions.get(&(*reader, *partition)).copied();
        // Uses the smallest offset of the poll: the order within the poll is checked separately.
        let between = position.zip(places.iter().min().copied());
        wrong.extend(between.and_then(|(after, at)| step(after, at, false)));
        for pair in places.windows(2) {
            wrong.extend(step(pair[0], pair[1], true));
        }
        // A poll that went back must not hide the next one that does.
        let furthest = position.max(places.iter().max().copied());
        positions.extend(furthest.map(|at| ((*reader, *partition), at)));
    }
}

fn visible(history: &History) -> BTreeSet<PartitionOffset> {
    let mut visible = BTreeSet::new();
    for event in &history.events {
        if let Event::Polled {
            partition, records, ..
        } = event
        {
            visible.extend(
                records
                    .iter()
                    .map(|(offset, _)| PartitionOffset::new(*partition, *offset)),
            );
        }
    }
    visible
}

/// A record and the one before it.
struct Step {
    reader: Reader,
    after: PartitionOffset,
    at: PartitionOffset,
    in_one_poll: bool,
}

impl Step {
    fn check(&self, visible: &BTreeSet<PartitionOffset>) -> Option<Violation> {
        let Self {
            reader,
            after,
            at,
            in_one_poll,
        } = *self;
        if at <= after {
            return Some(Violation::OffsetsNotIncreasing {
                reader,
                at,
                after,
                in_one_poll,
            });
        }
        // The first visible offset between the two records.
        let next = PartitionOffset::new(after.partition, after.offset + 1);
        let skipped = visible.range(next..at).next()?;
        Some(Violation::Skipped {
            reader,
            skipped: *skipped,
            next: at,
            in_one_poll,
        })
    }
}
