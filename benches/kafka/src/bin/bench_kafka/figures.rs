//! What was measured: figures by row and broker, one a round, and which rows are wanted at all.

use std::collections::BTreeMap;
use std::io::{Write as _, stdout};
use std::time::Instant;

use avouch_tests::deadline::now;
use avouch_tests::peer::Kind;

/// Figures by broker, one a round.
pub(crate) type Row = BTreeMap<&'static str, Vec<f64>>;

#[derive(Debug)]
pub(crate) struct Figures {
    started: Instant,
    only: Option<String>,
    /// Whether what is noted counts; not while all get warm.
    pub(crate) is_counting: bool,
    pub(crate) rows: BTreeMap<String, Row>,
}

impl Figures {
    pub(crate) fn new(only: Option<String>) -> Self {
        Self {
            started: now(),
            only,
            is_counting: true,
            rows: BTreeMap::new(),
        }
    }

    /// Whether a row of this name, or names that begin so, is asked for.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let only = self.only.as_ref();
        only.is_none_or(|pattern| name.contains(pattern.as_str()))
    }

    pub(crate) fn note(&mut self, name: &str, kind: Kind, value: f64) {
        let stem = name.split_once(": ").map_or(name, |(stem, _)| stem);
        if !self.is_counting || !self.wants(stem) {
            return;
        }
        say(&format!("{name}: {} {value:.3}", kind.name()));
        let row = self.rows.entry(name.to_owned()).or_default();
        row.entry(kind.name()).or_default().push(value);
    }

    /// Says what comes next, and how long it took so far.
    pub(crate) fn step(&self, what: &str) {
        let seconds = self.started.elapsed().as_secs();
        say(&format!("[{:02}:{:02}] {what}", seconds / 60, seconds % 60));
    }

    /// Of each broker, if there are any.
    pub(crate) fn medians(&self, name: &str) -> Option<Vec<f64>> {
        let row = self.rows.get(name)?;
        Some(row.values().map(|rounds| median(rounds)).collect())
    }
}

/// A terminal that is gone does not end a run of minutes.
fn say(line: &str) {
    drop(writeln!(stdout(), "{line}"));
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_asked_for_is_noted() {
        let mut figures = Figures::new(Some("consume from cache".to_owned()));
        figures.note("produce, 1 KiB: records/s", Kind::Kafka, 1.0);
        figures.is_counting = false;
        figures.note("consume from cache, 1 KiB: records/s", Kind::Kafka, 2.0);
        figures.is_counting = true;
        figures.note("consume from cache, 1 KiB: records/s", Kind::Kafka, 3.0);
        let medians = figures.medians("consume from cache, 1 KiB: records/s");
        assert_eq!((figures.rows.len(), medians), (1, Some(vec![3.0])));
    }
}
