//! The figures of the broker beside Apache Kafka, as a section of `docs/benchmarks.md`. They are
//! measured and written by the bench `versus` of `tests/`, which has the clients.

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
    rows: Vec<Row>,
}

/// The median of a figure for each broker that it was measured of.
#[derive(Debug, Deserialize)]
struct Row {
    name: String,
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
             compression, CPU time is the broker's own. The machine was shared with other work and \
             with the\nclient: CPU time says more than rates and times.\n\n\
             | figure | Avouch | Avouch os | Apache Kafka | Avouch / Kafka |\n\
             |---|---|---|---|---|\n",
            self.commit,
            self.machine,
            self.load,
            self.rounds,
            self.seconds,
            self.client,
            self.avouch,
            self.avouch_os,
            self.kafka,
        );
        for row in &self.rows {
            let ratio = row
                .avouch
                .zip(row.kafka)
                .map(|(ours, theirs)| ours / theirs);
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} | {} |",
                row.name,
                shown(row.avouch),
                shown(row.avouch_os),
                shown(row.kafka),
                ratio.map_or(String::new(), |ratio| format!("{ratio:.2}x"))
            );
        }
        out
    }
}

fn shown(value: Option<f64>) -> String {
    match value {
        None => String::new(),
        Some(value) if value >= 1_000.0 => format!("{value:.0}"),
        Some(value) => format!("{value:.2}"),
    }
}
