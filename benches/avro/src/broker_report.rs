//! The figures of the broker beside Apache Kafka, as a section of `docs/benchmarks.md`. They are
//! measured and written by the bench `versus` of `tests/`, which has the clients.

use crate::targets::{self, Asked, verdict};
use serde::Deserialize;
use std::fmt::Write;

/// A run of the bench.
#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    commit: String,
    machine: String,
    load: String,
    rounds: usize,
    seconds: u64,
    client: String,
    /// Version and durability.
    kafka: String,
    /// Durability.
    avouch: String,
    avouch_os: String,
    /// How it was measured, as sentences.
    notes: Option<String>,
    /// Records a second of the share of the lower peak.
    share_rate: Option<f64>,
    /// A write of 4 KiB and its sync, for scale.
    sync_p50_ms: Option<f64>,
    sync_p99_ms: Option<f64>,
    rows: Vec<Row>,
}

/// The median of a figure for each broker that it was measured of.
#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    /// If it was measured again, later than the rest.
    commit: Option<String>,
    avouch: Option<f64>,
    avouch_os: Option<f64>,
    kafka: Option<f64>,
}

impl Report {
    pub(crate) fn markdown(&self) -> String {
        let mut out = format!(
            "\n## The broker beside Apache Kafka\n\nCommit {}; {}; load {}; medians of {} \
             alternating rounds of {} seconds, acks=all, {}.\n\
             Avouch: {}. Avouch os: {}. Apache Kafka: {}.\nGB are bytes of values before \
             compression, CPU time is the broker's own.{}\n",
            self.commit,
            self.machine,
            self.load,
            self.rounds,
            self.seconds,
            self.client,
            self.avouch,
            self.avouch_os,
            self.kafka,
            self.notes
                .as_ref()
                .map_or(String::new(), |notes| format!(" {notes}")),
        );
        if let (Some(rate), Some(p50), Some(p99)) =
            (self.share_rate, self.sync_p50_ms, self.sync_p99_ms)
        {
            let _ = writeln!(
                out,
                "30 % of the lower peak were {rate:.0}/s. One write of 4 KiB and its sync took \
                 {p50:.2} ms (p50), {p99:.2} ms (p99)."
            );
        }
        out.push_str(
            "\n| figure | Avouch | Avouch os | Apache Kafka | Avouch / Kafka | must |\n\
             |---|---|---|---|---|---|\n",
        );
        for row in &self.rows {
            let ratio = row.ratio();
            let again = row.commit.as_ref().filter(|commit| **commit != self.commit);
            let _ = writeln!(
                out,
                "| {}{} | {} | {} | {} | {} | {} |",
                row.name,
                again.map_or(String::new(), |commit| format!(" (at {commit})")),
                shown(row.avouch),
                shown(row.avouch_os),
                shown(row.kafka),
                ratio.map_or(String::new(), |ratio| format!("{ratio:.2}x")),
                self.must(row).unwrap_or_default(),
            );
        }
        out
    }

    /// What is asked of a row, if something is and it was measured.
    fn must(&self, row: &Row) -> Option<String> {
        let mut all = targets::BROKER.iter();
        let (_, asked) = all.find(|(name, _)| *name == row.name)?;
        match *asked {
            Asked::Ratio(must) => Some(must.cell(row.ratio()?, "x")),
            Asked::Own(must, unit) => Some(must.cell(row.avouch?, unit)),
            Asked::OfRow(name, short, must) => {
                let other = self.rows.iter().find(|row| row.name == name)?.avouch?;
                Some(must.cell(row.avouch? / other, &format!("x of {short}")))
            }
            Asked::Way(bound) => {
                let sync = match row.name.ends_with("p50 ms") {
                    true => self.sync_p50_ms?,
                    false => self.sync_p99_ms?,
                };
                let most = bound * row.kafka?;
                let os = verdict(&format!("os ≤ {bound}x"), row.avouch_os? <= most);
                let synced = verdict("and one sync", row.avouch? <= most + sync);
                Some(format!("{os}; {synced}"))
            }
        }
    }
}

impl Row {
    fn ratio(&self) -> Option<f64> {
        Some(self.avouch? / self.kafka?)
    }
}

fn shown(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value >= 1_000.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(rows: &[(&str, f64, Option<f64>, f64)]) -> Report {
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, avouch, avouch_os, kafka)| {
                serde_json::json!({
                    "name": name, "avouch": avouch, "avouch_os": avouch_os, "kafka": kafka,
                })
            })
            .collect();
        serde_json::from_value(serde_json::json!({
            "commit": "c", "machine": "m", "load": "0", "rounds": 5, "seconds": 3, "client": "",
            "kafka": "", "avouch": "", "avouch_os": "", "share_rate": 9.0,
            "sync_p50_ms": 1.0, "sync_p99_ms": 4.0, "rows": rows,
        }))
        .unwrap()
    }

    fn musts(rows: &[(&str, f64, Option<f64>, f64)]) -> Vec<String> {
        let report = report(rows);
        let must = |row| report.must(row).unwrap_or_default();
        report.rows.iter().map(must).collect()
    }

    #[test]
    fn a_row_says_whether_it_meets_its_target() {
        const ONE: &str = "produce, 1 KiB, none, 1 partition: records/s";
        const MANY: &str = "produce, 1 KiB, none, 100 partitions: records/s";
        const WAY: &str = "end to end, 1 KiB, none, 1000/s: p99 ms";
        let rows = [
            (ONE, 200_000.0, None, 1.0),
            (MANY, 90_000.0, None, 1.0),
            (WAY, 9.0, Some(5.5), 5.0),
            ("memory, idle, MB", 10.0, None, 400.0),
            ("of no interest", 10.0, None, 400.0),
        ];
        let expected = [
            "≥ 150000/s: met",
            "≥ 0.5x of 1 partition: **missed**",
            "os ≤ 1x: **missed**; and one sync: met",
            "≤ 0.1x: met",
            "",
        ];
        assert_eq!(musts(&rows), expected);
    }

    #[test]
    fn the_way_of_a_record_may_take_one_sync_more_and_no_longer() {
        const WAY: &str = "end to end, 1 KiB, none, 1000/s: p50 ms";
        let met = musts(&[(WAY, 2.0, Some(1.0), 1.0)]);
        let missed = musts(&[(WAY, 2.1, Some(1.0), 1.0)]);
        assert_eq!(met, ["os ≤ 1x: met; and one sync: met"]);
        assert_eq!(missed, ["os ≤ 1x: met; and one sync: **missed**"]);
    }

    #[test]
    fn every_target_is_of_another_row() {
        let mut names: Vec<_> = targets::BROKER.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), targets::BROKER.len());
    }
}
