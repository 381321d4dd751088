//! Section of `docs/benchmarks.md` that compares the broker with Apache Kafka. `bench_kafka`
//! measures and writes the results.

use crate::targets::{self, Target, outcome};
use serde::Deserialize;
use std::fmt::Write;

/// Results of a run.
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
    /// Description of the measurement, as sentences.
    notes: Option<String>,
    /// Records per second that are 30 % of the lower of the two peak rates.
    share_rate: Option<f64>,
    /// Latency of writing and syncing 4 KiB on the same disk, for comparison.
    sync_p50_ms: Option<f64>,
    sync_p99_ms: Option<f64>,
    rows: Vec<Row>,
}

/// Median of a result for each broker it was measured with.
#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    /// Set if the row was measured again at a later commit.
    commit: Option<String>,
    avouch: Option<f64>,
    avouch_os: Option<f64>,
    kafka: Option<f64>,
}

impl Report {
    pub(crate) fn markdown(&self) -> String {
        let mut out = format!(
            "\n## Comparison with Apache Kafka\n\nCommit {}; {}; load {}; medians of {} \
             alternating rounds of {} seconds, acks=all, {}.\n\
             Avouch: {}. Avouch os: {}. Apache Kafka: {}.\nGB are bytes of record values before \
             compression. CPU time is that of the broker process.{}\n",
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
                "30 % of the lower peak is {rate:.0}/s. Writing and syncing 4 KiB takes {p50:.2} \
                 ms (p50) and {p99:.2} ms (p99) on this disk."
            );
        }
        out.push_str(
            "\n| result | Avouch | Avouch os | Apache Kafka | Avouch / Kafka | target |\n\
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
                self.target(row).unwrap_or_default(),
            );
        }
        out
    }

    /// Returns the target of a row and its outcome, if the row has one and was measured.
    fn target(&self, row: &Row) -> Option<String> {
        let mut all = targets::BROKER.iter();
        let (_, target) = all.find(|(name, _)| *name == row.name)?;
        match *target {
            Target::Ratio(must) => Some(must.cell(row.ratio()?, "x")),
            Target::Own(must, unit) => Some(must.cell(row.avouch?, unit)),
            Target::OfRow(name, short, must) => {
                let other = self.rows.iter().find(|row| row.name == name)?.avouch?;
                Some(must.cell(row.avouch? / other, &format!("x of {short}")))
            }
            Target::Latency(bound) => {
                let sync = match row.name.ends_with("p50 ms") {
                    true => self.sync_p50_ms?,
                    false => self.sync_p99_ms?,
                };
                // Kafka does not sync before it acknowledges, so mode `fsync` may take one sync
                // longer.
                let max = bound * row.kafka?;
                let os = outcome(&format!("os ≤ {bound}x"), row.avouch_os? <= max);
                let synced = outcome("fsync ≤ that plus one sync", row.avouch? <= max + sync);
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

    fn targets_of(rows: &[(&str, f64, Option<f64>, f64)]) -> Vec<String> {
        let report = report(rows);
        let target = |row| report.target(row).unwrap_or_default();
        report.rows.iter().map(target).collect()
    }

    // Conformance: validator/4
    #[test]
    fn row_shows_target_outcome() {
        const ONE: &str = "produce, 1 KiB, none, 1 partition: records/s";
        const MANY: &str = "produce, 1 KiB, none, 100 partitions: records/s";
        const LATENCY: &str = "end to end, 1 KiB, none, 1000/s: p99 ms";
        let rows = [
            (ONE, 200_000.0, None, 1.0),
            (MANY, 90_000.0, None, 1.0),
            (LATENCY, 9.0, Some(5.5), 5.0),
            ("memory, idle, MB", 10.0, None, 400.0),
            ("row without target", 10.0, None, 400.0),
        ];
        let expected = [
            "≥ 150000/s: met",
            "≥ 0.5x of 1 partition: **missed**",
            "os ≤ 1x: **missed**; fsync ≤ that plus one sync: met",
            "≤ 0.1x: met",
            "",
        ];
        assert_eq!(targets_of(&rows), expected);
    }

    #[test]
    fn fsync_latency_allows_one_extra_sync() {
        const LATENCY: &str = "end to end, 1 KiB, none, 1000/s: p50 ms";
        let met = targets_of(&[(LATENCY, 2.0, Some(1.0), 1.0)]);
        let missed = targets_of(&[(LATENCY, 2.1, Some(1.0), 1.0)]);
        assert_eq!(met, ["os ≤ 1x: met; fsync ≤ that plus one sync: met"]);
        assert_eq!(
            missed,
            ["os ≤ 1x: met; fsync ≤ that plus one sync: **missed**"]
        );
    }

    #[test]
    fn target_row_names_are_unique() {
        let mut names: Vec<_> = targets::BROKER.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), targets::BROKER.len());
    }
}
