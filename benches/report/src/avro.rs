//! Results of `just bench-avro`, as JSON and as a section of `docs/benchmarks.md`.

use crate::page::Run;
use crate::targets::{self, Must};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Results of a run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    #[serde(flatten)]
    run: Run,
    sets: Vec<SetRow>,
    compile: Vec<CompileRow>,
}

/// A data set and the median CPU time per record of each case.
#[derive(Debug, Serialize, Deserialize)]
pub struct SetRow {
    /// Name of the data set.
    pub name: String,
    /// Number of records.
    pub records: usize,
    /// Size of all records.
    pub bytes: usize,
    /// Nanoseconds by case.
    pub ns_per_record: BTreeMap<String, f64>,
}

/// Compile time and compiled size of a schema.
#[derive(Debug, Serialize, Deserialize)]
pub struct CompileRow {
    /// Name of the schema.
    pub name: String,
    /// Nanoseconds.
    pub ns: f64,
    /// Size of the compiled program.
    pub memory_bytes: usize,
}

impl Report {
    /// Returns the figures of a run.
    #[must_use]
    pub fn new(run: Run, sets: Vec<SetRow>, compile: Vec<CompileRow>) -> Self {
        Self { run, sets, compile }
    }

    /// Renders the section.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!(
            "## Avro validation\n\n{}\nEach data set has about 1 MiB of records. The other columns \
             are times divided by the time of Avouch's validator.\n`apache-avro` decodes with one \
             reader for all records; `serde_avro_fast` visits every value and checks UTF-8.\n\n",
            self.run.sentence("thread")
        );
        self.write_sets(&mut out);
        let _ = write!(
            out,
            "\n| compile | time | memory | target |\n|---|---|---|---|\n{}",
            self.compile
                .iter()
                .map(|row| format!(
                    "| {} | {:.3} ms | {} KiB | {} |\n",
                    row.name,
                    row.ns / 1e6,
                    row.memory_bytes.div_ceil(1_024),
                    row.target(),
                ))
                .collect::<String>()
        );
        out
    }

    fn write_sets(&self, out: &mut String) {
        /// Name in the JSON file, and heading of the column.
        const OTHERS: [(&str, &str); 8] = [
            ("apache-avro", "apache-avro"),
            ("serde_avro_fast", "serde_avro_fast"),
            ("validate, no slack", "without padding"),
            ("validate, plain form", "reference interpreter"),
            ("crc32c", "crc32c"),
            ("memcpy", "memcpy"),
            ("lz4 block", "lz4 block"),
            ("lz4 frame", "lz4 frame"),
        ];
        let _ = writeln!(
            out,
            "| data set | bytes per record | ns | GB/s | {} | target |",
            OTHERS.map(|(_, heading)| heading).join(" | ")
        );
        let _ = writeln!(out, "|{}", "---|".repeat(5 + OTHERS.len()));
        for set in &self.sets {
            let time = |name: &str| set.time(name);
            let bytes = set.bytes as f64 / set.records as f64;
            let validate = time("validate").unwrap_or(f64::NAN);
            let _ = write!(
                out,
                "| {} | {bytes:.0} | {validate:.1} | {:.2} |",
                set.name,
                bytes / validate
            );
            for (other, _) in OTHERS {
                let ratio = time(other).map(|time| format!("{:.2}x", time / validate));
                let _ = write!(out, " {} |", ratio.unwrap_or_default());
            }
            let _ = writeln!(out, " {} |", set.target());
        }
    }
}

impl SetRow {
    fn time(&self, name: &str) -> Option<f64> {
        self.ns_per_record.get(name).copied()
    }

    /// Returns the targets of this data set and their outcomes.
    fn target(&self) -> String {
        let validate = self.time("validate").unwrap_or(f64::NAN);
        let mut cells = Vec::new();
        for (set, peer, factor) in targets::VALIDATION {
            if let Some(time) = self.time(peer).filter(|_| set == self.name) {
                let cell = Must::AtLeast(factor).cell(time / validate, "x");
                cells.push(format!("{peer} {cell}"));
            }
        }
        let (set, factor) = targets::VALIDATION_BY_CRC;
        if let Some(crc) = self.time("crc32c").filter(|_| set == self.name) {
            cells.push(Must::AtMost(factor).cell(validate / crc, "x the time of crc32c"));
        }
        cells.join("; ")
    }
}

impl CompileRow {
    fn target(&self) -> String {
        let mut all = targets::COMPILE_MS.iter();
        let found = all.find(|(name, _)| *name == self.name);
        found.map_or(String::new(), |(_, ms)| {
            Must::AtMost(*ms).cell(self.ns / 1e6, " ms")
        })
    }
}
