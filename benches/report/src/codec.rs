//! Results of `just bench-codec`, as JSON and as a section of `docs/benchmarks.md`.

use crate::page::Run;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The name of the JSON file.
pub const NAME: &str = "codec";

/// Results of a run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    #[serde(flatten)]
    run: Run,
    rows: Vec<Row>,
}

/// CPU time of an operation in nanoseconds per record, by implementation.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    set: String,
    operation: String,
    ns: BTreeMap<String, f64>,
}

impl Row {
    /// Returns a row; `ns` holds nanoseconds per record by implementation.
    #[must_use]
    pub fn new(set: &str, operation: &str, ns: BTreeMap<String, f64>) -> Self {
        Self {
            set: set.to_owned(),
            operation: operation.to_owned(),
            ns,
        }
    }

    fn ns(&self, name: &str) -> Option<f64> {
        self.ns.get(name).copied()
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
            "\n## Avro codec\n\n{}\nTyped values with the codec's traits, as generated types \
             implement them, and with serde under a schema. The other columns are times divided \
             by the\ncodec's time. Encoders append to a reused buffer, except serde, which returns \
             a new one.\n\n\
             | data set | operation | ns | serde | serde_avro_fast | apache-avro |\n\
             |---|---|---|---|---|---|\n",
            self.run.sentence("thread"),
        );
        for row in &self.rows {
            let Some(codec) = row.ns("codec") else {
                continue;
            };
            let _ = write!(out, "| {} | {} | {codec:.0} |", row.set, row.operation);
            for peer in ["serde", "serde_avro_fast", "apache-avro"] {
                let _ = match row.ns(peer) {
                    Some(ns) => write!(out, " {:.2}x |", ns / codec),
                    None => write!(out, " - |"),
                };
            }
            out.push('\n');
        }
        out.push_str(
            "\nData of a reader's schema that lacks a field, promotes one and adds one, relative \
             to decoding without resolution:\n\n| values | ns | resolved |\n|---|---|---|\n",
        );
        for row in &self.rows {
            for kind in ["owned", "borrowed"] {
                let plain = row.ns(&format!("plain {kind}"));
                let resolved = row.ns(&format!("resolved {kind}"));
                if let (Some(plain), Some(resolved)) = (plain, resolved) {
                    let _ = writeln!(out, "| {kind} | {plain:.0} | {:.2}x |", resolved / plain);
                }
            }
        }
        out
    }
}
