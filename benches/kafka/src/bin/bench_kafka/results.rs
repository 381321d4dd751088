//! Results by row and broker, one per round, and the selection of rows by `--only`.

use std::collections::BTreeMap;
use std::io::{Write as _, stdout};
use std::time::Instant;

use avouch_tests::deadline::now;
use avouch_tests::peer::Kind;

/// Results by broker, one per round.
pub(crate) type Row = BTreeMap<&'static str, Vec<f64>>;

#[derive(Debug)]
pub(crate) struct Results {
    started: Instant,
    only: Option<String>,
    /// False during the warm-up round, whose results are dropped.
    pub(crate) is_counting: bool,
    pub(crate) rows: BTreeMap<String, Row>,
}

impl Results {
    pub(crate) fn new(only: Option<String>) -> Self {
        Self {
            started: now(),
            only,
            is_counting: true,
            rows: BTreeMap::new(),
        }
    }

    /// Returns true if the pattern of `--only` is part of `name`, or if there is no pattern.
    pub(crate) fn wants(&self, name: &str) -> bool {
        let only = self.only.as_ref();
        only.is_none_or(|pattern| name.contains(pattern.as_str()))
    }

    pub(crate) fn add(&mut self, name: &str, kind: Kind, value: f64) {
        // The unit after the colon is not part of the name that patterns match.
        let stem = name.split_once(": ").map_or(name, |(stem, _)| stem);
        if !self.is_counting || !self.wants(stem) {
            return;
        }
        print(&format!("{name}: {} {value:.3}", kind.name()));
        let row = self.rows.entry(name.to_owned()).or_default();
        row.entry(kind.name()).or_default().push(value);
    }

    /// Prints the elapsed time and the next step.
    pub(crate) fn step(&self, what: &str) {
        let seconds = self.started.elapsed().as_secs();
        print(&format!("[{:02}:{:02}] {what}", seconds / 60, seconds % 60));
    }

    /// Returns the median of each broker for a row.
    pub(crate) fn medians(&self, name: &str) -> Option<Vec<f64>> {
        let row = self.rows.get(name)?;
        Some(row.values().map(|rounds| median(rounds)).collect())
    }
}

fn print(line: &str) {
    // A closed terminal must not end a run that takes minutes.
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
    fn results_of_other_rows_are_dropped() {
        let mut results = Results::new(Some("consume from cache".to_owned()));
        results.add("produce, 1 KiB: records/s", Kind::Kafka, 1.0);
        results.is_counting = false;
        results.add("consume from cache, 1 KiB: records/s", Kind::Kafka, 2.0);
        results.is_counting = true;
        results.add("consume from cache, 1 KiB: records/s", Kind::Kafka, 3.0);
        let medians = results.medians("consume from cache, 1 KiB: records/s");
        assert_eq!((results.rows.len(), medians), (1, Some(vec![3.0])));
    }
}
