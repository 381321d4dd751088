//! Results of `just bench-contract`: CPU time of contract validation in the broker.

use crate::page::Run;
use crate::targets::{self, Must};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// Name of the JSON file and of the section.
pub const NAME: &str = "contract";

/// Results of a run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Conditions of the run.
    #[serde(flatten)]
    pub run: Run,
    /// One row per data set and codec.
    pub rows: Vec<Row>,
}

/// One data set compressed with one codec, and the median CPU time of the broker process.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    /// Name of the data set.
    pub set: String,
    /// Compression codec of the batches.
    pub codec: String,
    /// Records per batch.
    pub batch_records: usize,
    /// Mean size of a value in bytes, including framing, before compression.
    pub value_bytes: f64,
    /// Mean size of a batch in bytes.
    pub batch_bytes: f64,
    /// CPU time per record with `avouch.value.validation=none`.
    pub none_ns: f64,
    /// CPU time per record with level `id`.
    pub id_ns: f64,
    /// CPU time per record with level `payload`.
    pub payload_ns: f64,
}

impl Report {
    /// Returns the section as Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = String::from("## Contract validation overhead\n\n");
        let _ = write!(
            out,
            "{}\nProduce with acks=all and durability fsync, with pre-encoded batches and five \
             requests in flight, by level of\n`avouch.value.validation`. GB are bytes of record \
             values before compression.\n\n\
             | data set | codec | value bytes | batch | level none: ns per record | level id | \
             level payload | level none: CPU s per GB | level payload | target |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
            self.run.sentence("the broker's")
        );
        for row in &self.rows {
            let over = |ns: f64| format!("{:+.0} %", row.percent_over(ns));
            let _ = writeln!(
                out,
                "| {} | {} | {:.0} | {} x, {:.0} KiB | {:.0} | {} | {} | {:.2} | {:.2} | {} |",
                row.set,
                row.codec,
                row.value_bytes,
                row.batch_records,
                row.batch_bytes / 1024.0,
                row.none_ns,
                over(row.id_ns),
                over(row.payload_ns),
                row.none_ns / row.value_bytes,
                row.payload_ns / row.value_bytes,
                row.target(),
            );
        }
        out
    }
}

impl Row {
    fn percent_over(&self, ns: f64) -> f64 {
        (ns / self.none_ns - 1.0) * 100.0
    }

    /// Returns the target of full validation and its outcome, if this row has one.
    fn target(&self) -> String {
        let (set, codec, percent) = targets::CONTRACT_PERCENT;
        if (set, codec) != (self.set.as_str(), self.codec.as_str()) {
            return String::new();
        }
        Must::AtMost(percent).cell(self.percent_over(self.payload_ns), " % above none")
    }
}
