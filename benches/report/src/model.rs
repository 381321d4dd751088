//! Results of `just bench-model`, as JSON and as a section of `docs/benchmarks.md`.

use crate::page::Run;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

const AVOUCH: &str = "avouch-avro";
const PEERS: [&str; 2] = ["apache-avro", "Java"];

/// Results of a run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    #[serde(flatten)]
    run: Run,
    rows: Vec<Row>,
}

/// CPU time of an operation in microseconds, by implementation.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    shape: String,
    operation: String,
    us: BTreeMap<String, f64>,
}

impl Row {
    /// Returns a row; `us` holds microseconds by implementation.
    #[must_use]
    pub fn new(shape: &str, operation: &str, us: BTreeMap<String, f64>) -> Self {
        Self {
            shape: shape.to_owned(),
            operation: operation.to_owned(),
            us,
        }
    }
}

impl Report {
    /// Returns the figures of a run.
    #[must_use]
    pub fn new(run: Run, rows: Vec<Row>) -> Self {
        Self { run, rows }
    }

    /// Renders the section.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!(
            "\n## Avro schemas\n\n{}\nParsing a schema, and checking the compatibility of a reader \
             schema with a writer schema. The other columns are times divided by\nAvouch's time. \
             `apache-avro` stops at the first incompatibility. Java is `org.apache.avro:avro` \
             1.12.1 after warm-up, without garbage\ncollection. The fields are unions of null and \
             a number, with a default and documentation: long in the reader schema, int in the\n\
             writer schema.\n\n\
             | schema | operation | us | {} |\n|{}\n",
            self.run.sentence("thread"),
            PEERS.join(" | "),
            "---|".repeat(3 + PEERS.len()),
        );
        for row in &self.rows {
            let time = |name: &str| row.us.get(name).copied().unwrap_or(f64::NAN);
            let avouch = time(AVOUCH);
            let _ = write!(out, "| {} | {} | {avouch:.1} |", row.shape, row.operation);
            for peer in PEERS {
                let _ = write!(out, " {:.2}x |", time(peer) / avouch);
            }
            out.push('\n');
        }
        out
    }
}
