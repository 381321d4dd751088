//! Whether readers got offsets in order and left none out that others saw.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, History, Place, Reader};
use crate::violation::Violation;

/// Judges each poll, and each from the one before it. An offset that nobody ever read may be a
/// control record, a compacted one or a hole: leaving it out is no fault here.
pub(crate) fn check_polls(history: &History, wrong: &mut Vec<Violation>) {
    let visible = visible(history);
    let mut positions: BTreeMap<(Reader, i32), Place> = BTreeMap::new();
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
            .map(|(offset, _)| Place::new(*partition, *offset));
        let places: Vec<Place> = places.collect();
        let step = |after: Place, at: Place, in_one_poll: bool| {
            let step = Step {
                reader: *reader,
                after,
                at,
                in_one_poll,
            };
            step.judge(&visible)
        };
        let position = positions.get(&(*reader, *partition)).copied();
        // By the least of the poll: whether its own order is right is said by itself.
        let between = position.zip(places.iter().min().copied());
        wrong.extend(between.and_then(|(after, at)| step(after, at, false)));
        for pair in places.windows(2) {
            wrong.extend(step(pair[0], pair[1], true));
        }
        let furthest = position.max(places.iter().max().copied());
        positions.extend(furthest.map(|at| ((*reader, *partition), at)));
    }
}

fn visible(history: &History) -> BTreeSet<Place> {
    let mut visible = BTreeSet::new();
    for event in &history.events {
        if let Event::Polled {
            partition, records, ..
        } = event
        {
            visible.extend(
                records
                    .iter()
                    .map(|(offset, _)| Place::new(*partition, *offset)),
            );
        }
    }
    visible
}

/// From one record to the next.
struct Step {
    reader: Reader,
    after: Place,
    at: Place,
    in_one_poll: bool,
}

impl Step {
    fn judge(&self, visible: &BTreeSet<Place>) -> Option<Violation> {
        let Self {
            reader,
            after,
            at,
            in_one_poll,
        } = *self;
        if at <= after {
            return Some(Violation::PolledBack {
                reader,
                at,
                after,
                in_one_poll,
            });
        }
        let next = Place::new(after.partition, after.offset + 1);
        let skipped = visible.range(next..at).next()?;
        Some(Violation::Skipped {
            reader,
            skipped: *skipped,
            next: at,
            in_one_poll,
        })
    }
}
