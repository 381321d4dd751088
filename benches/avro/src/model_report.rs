//! The figures of the schema model, as JSON to commit and as a section of `docs/benchmarks.md`.

use crate::page::Run;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

const OURS: &str = "avouch-avro";
const PEERS: [&str; 2] = ["apache-avro", "Java"];

/// A run of the bench.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    run: Run,
    rows: Vec<Row>,
}

/// What an operation took, in microseconds by implementation.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    shape: String,
    operation: String,
    us: BTreeMap<String, f64>,
}

impl Row {
    pub(crate) fn new(shape: &str, operation: &str, us: BTreeMap<String, f64>) -> Self {
        Self {
            shape: shape.to_owned(),
            operation: operation.to_owned(),
            us,
        }
    }
}

impl Report {
    pub(crate) fn new(run: Run, rows: Vec<Row>) -> Self {
        Self { run, rows }
    }

    pub(crate) fn markdown(&self) -> String {
        let mut out = format!(
            "\n## Avro schemas\n\n{}\nParsing a schema, and comparing a reader's with a \
             writer's: a peer's column is its time by ours. `apache-avro` stops at the first\n\
             finding; Java is `org.apache.avro:avro` 1.12.1, warmed up, its garbage collection \
             not counted. The fields are unions of null\nand a number, with a default and \
             documentation; the reader's numbers are longs, the writer's ints.\n\n\
             | schema | operation | us | {} |\n|{}\n",
            self.run.sentence("thread"),
            PEERS.join(" | "),
            "---|".repeat(3 + PEERS.len()),
        );
        for row in &self.rows {
            let time = |name: &str| row.us.get(name).copied().unwrap_or(f64::NAN);
            let ours = time(OURS);
            let _ = write!(out, "| {} | {} | {ours:.1} |", row.shape, row.operation);
            for peer in PEERS {
                let _ = write!(out, " {:.2}x |", time(peer) / ours);
            }
            out.push('\n');
        }
        out
    }
}
