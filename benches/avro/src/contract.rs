//! Figures of `just bench-contract`: what a contract costs the broker.

use crate::page::Run;
use crate::targets::{self, Must};
use serde::{Deserialize, Serialize};
use std::fmt::Write;

/// The name of the figures' file and section.
pub const NAME: &str = "contract";

/// A run of the bench.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Under what it ran.
    #[serde(flatten)]
    pub run: Run,
    /// Records and codecs.
    pub rows: Vec<Row>,
}

/// Records of one data set in batches of one codec, and the median CPU time of the whole broker.
#[derive(Debug, Serialize, Deserialize)]
pub struct Row {
    /// The data set.
    pub set: String,
    /// The batches' codec.
    pub codec: String,
    /// Records in a batch.
    pub batch_records: usize,
    /// Mean bytes of a value, framing included, before compression.
    pub value_bytes: f64,
    /// Mean bytes of a batch.
    pub batch_bytes: f64,
    /// CPU time for a record with `avouch.value.validation` at `none`.
    pub none_ns: f64,
    /// The same at `id`.
    pub id_ns: f64,
    /// The same at `payload`.
    pub payload_ns: f64,
}

impl Report {
    /// The section that shows them.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = String::from("## What a contract costs the broker\n\n");
        let _ = write!(
            out,
            "{}\nProduce with acks=all \
             and fsync, batches encoded beforehand and five of them in flight, by level of\n\
             `avouch.value.validation`. GB are of values before compression.\n\n\
             | values of | codec | bytes | batch | none, ns a record | id | payload | none, CPU-s \
             per GB | payload | must |\n|---|---|---|---|---|---|---|---|---|---|\n",
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
                row.must(),
            );
        }
        out
    }
}

impl Row {
    fn percent_over(&self, ns: f64) -> f64 {
        (ns / self.none_ns - 1.0) * 100.0
    }

    /// What is asked of validating whole records.
    fn must(&self) -> String {
        let (set, codec, percent) = targets::CONTRACT_PERCENT;
        if (set, codec) != (self.set.as_str(), self.codec.as_str()) {
            return String::new();
        }
        Must::AtMost(percent).cell(self.percent_over(self.payload_ns), " % over none")
    }
}
