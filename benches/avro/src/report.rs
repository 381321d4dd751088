//! What was measured, as JSON to commit and as a section of `docs/benchmarks.md`.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

const BEGIN: &str = "<!-- avro: made by `just bench-avro`, not by hand -->\n";
const END: &str = "<!-- end of avro -->\n";
const HEAD: &str = "# Benchmarks\n\nRatios count; absolute times are context. Each section is made \
    from the JSON under `benchmarks/`.\n\n";

/// A run of the bench.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    commit: String,
    machine: String,
    /// Runnable tasks in the last minute at the end, this one included.
    load: String,
    rounds: usize,
    sets: Vec<SetRow>,
    compile: Vec<CompileRow>,
}

/// A data set and the median CPU time that each case took for a record of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SetRow {
    pub(crate) name: String,
    pub(crate) records: usize,
    pub(crate) bytes: usize,
    pub(crate) ns_per_record: BTreeMap<String, f64>,
}

/// How long a schema takes to compile.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CompileRow {
    pub(crate) name: String,
    pub(crate) ns: f64,
    pub(crate) memory_bytes: usize,
}

impl Report {
    pub(crate) fn new(rounds: usize, sets: Vec<SetRow>, compile: Vec<CompileRow>) -> Result<Self> {
        let load = std::fs::read_to_string("/proc/loadavg").context("/proc/loadavg")?;
        Ok(Self {
            commit: commit()?,
            machine: machine()?,
            load: load.split(' ').next().unwrap_or_default().to_owned(),
            rounds,
            sets,
            compile,
        })
    }

    pub(crate) fn write(&self) -> Result<()> {
        let path = json_path();
        std::fs::create_dir_all(path.parent().context("a file stands in a folder")?)?;
        let json = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&path, json).with_context(|| path.display().to_string())
    }

    pub(crate) fn markdown(&self) -> String {
        let mut out = String::from("## Avro validation\n\n");
        let Self {
            commit,
            machine,
            load,
            rounds,
            ..
        } = self;
        let _ = write!(
            out,
            "Commit {commit}; {machine}; load {load}; medians of {rounds} alternating rounds of \
             thread CPU time.\nEach set is about 1 MiB of records; a peer's column is its time by \
             ours. `apache-avro` decodes with a\nreader used again, `serde_avro_fast` visits every \
             value and checks UTF-8.\n\n"
        );
        self.write_sets(&mut out);
        let _ = write!(
            out,
            "\n| compile | time | memory |\n|---|---|---|\n{}",
            self.compile
                .iter()
                .map(|row| format!(
                    "| {} | {:.3} ms | {} KiB |\n",
                    row.name,
                    row.ns / 1e6,
                    row.memory_bytes.div_ceil(1_024)
                ))
                .collect::<String>()
        );
        out
    }

    fn write_sets(&self, out: &mut String) {
        const OTHERS: [&str; 7] = [
            "apache-avro",
            "serde_avro_fast",
            "validate, no slack",
            "validate, plain form",
            "crc32c",
            "memcpy",
            "lz4 decompression",
        ];
        let _ = writeln!(
            out,
            "| records of | bytes | ns | GB/s | {} |",
            OTHERS.join(" | ")
        );
        let _ = writeln!(out, "|{}", "---|".repeat(4 + OTHERS.len()));
        for set in &self.sets {
            let time = |name: &str| set.ns_per_record.get(name).copied().unwrap_or(f64::NAN);
            let bytes = set.bytes as f64 / set.records as f64;
            let ours = time("validate");
            let _ = write!(
                out,
                "| {} | {bytes:.0} | {ours:.1} | {:.2} |",
                set.name,
                bytes / ours
            );
            for other in OTHERS {
                let _ = write!(out, " {:.2}x |", time(other) / ours);
            }
            out.push('\n');
        }
    }
}

/// Puts the committed JSON into the document.
pub(crate) fn render() -> Result<()> {
    let path = checkout().join("docs/benchmarks.md");
    let document = std::fs::read_to_string(&path).unwrap_or_else(|_| HEAD.to_owned());
    std::fs::write(&path, with_section(&document, &committed()?.markdown()))?;
    Ok(())
}

fn committed() -> Result<Report> {
    let path = json_path();
    let json = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    Ok(serde_json::from_str(&json)?)
}

/// The document with its section replaced, or added at its end.
fn with_section(document: &str, section: &str) -> String {
    let whole = format!("{BEGIN}{section}{END}");
    let old = document.split_once(BEGIN);
    match old.and_then(|(before, rest)| Some((before, rest.split_once(END)?.1))) {
        Some((before, behind)) => format!("{before}{whole}{behind}"),
        None => format!("{document}{whole}"),
    }
}

#[expect(clippy::print_stdout, reason = "printing is what it was asked for")]
pub(crate) fn print(text: &str) {
    println!("{text}");
}

fn checkout() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn json_path() -> PathBuf {
    checkout().join("docs/benchmarks/avro.json")
}

/// The commit that was measured, with a plus if files differ from it.
fn commit() -> Result<String> {
    let git = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(checkout())
            .output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let is_changed = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    let mark = if is_changed { "+" } else { "" };
    Ok(git(&["rev-parse", "--short=12", "HEAD"])? + mark)
}

fn machine() -> Result<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").context("/proc/cpuinfo")?;
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.split_once(':'));
        value.map_or("unknown", |(_, value)| value.trim())
    };
    let cores = info.lines().filter(|line| line.starts_with("processor"));
    let (name, family, model) = (field("model name"), field("cpu family"), field("model\t"));
    Ok(format!(
        "{name} (family {family}, model {model}), {} cores, {}",
        cores.count(),
        std::env::consts::ARCH
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_shows_the_committed_figures() {
        let document = std::fs::read_to_string(checkout().join("docs/benchmarks.md")).unwrap();
        let rendered = with_section(&document, &committed().unwrap().markdown());
        assert_eq!(rendered, document, "run `just render-avro`");
    }

    #[test]
    fn a_section_is_replaced_where_it_stands() {
        let first = with_section("head\n", "one\n");
        let more = format!("{first}tail\n");
        let second = with_section(&more, "two\n");
        assert_eq!(second, format!("head\n{BEGIN}two\n{END}tail\n"));
    }
}
