//! What was measured, as JSON to commit and as a section of `docs/benchmarks.md`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::many::Many;
use crate::restart::Restart;
use crate::rounds::{CaseRow, ROUNDS, Rounds};

const BEGIN: &str = "<!-- log: made by `just bench-log`, not by hand -->\n";
const END: &str = "<!-- end of log -->\n";

/// The figures of the log.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    commit: String,
    machine: String,
    /// Runnable tasks in the last minute at the end, the bench included.
    load: String,
    rounds: usize,
    measured: Rounds,
    many: Many,
    restarts: Vec<Restart>,
}

impl Report {
    /// What is committed.
    pub(crate) fn committed() -> Result<Self> {
        let path = json_path();
        let json = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        Ok(serde_json::from_str(&json)?)
    }

    pub(crate) fn measured(&mut self, measured: Rounds, many: Many) -> Result<()> {
        let load = std::fs::read_to_string("/proc/loadavg").context("/proc/loadavg")?;
        self.commit = commit()?;
        self.machine = machine()?;
        load.split(' ')
            .next()
            .unwrap_or_default()
            .clone_into(&mut self.load);
        self.rounds = ROUNDS;
        self.measured = measured;
        self.many = many;
        Ok(())
    }

    pub(crate) fn restarted(&mut self, restart: Restart) {
        self.restarts.retain(|known| known.gb != restart.gb);
        self.restarts.push(restart);
        self.restarts.sort_by_key(|restart| restart.gb);
    }

    pub(crate) fn write(&self) -> Result<()> {
        let path = json_path();
        let json = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&path, json).with_context(|| path.display().to_string())
    }

    fn markdown(&self) -> String {
        let Self {
            commit,
            machine,
            load,
            rounds,
            measured,
            many,
            ..
        } = self;
        let mut out = format!(
            "## The log alone\n\nCommit {commit}; {machine}; load {load}; medians of {rounds} \
             alternating rounds of 128 MiB in batches of 16 KiB, 256 unanswered\nat a time. The \
             bare disk in the same rounds: {:.0} MB/s written and synced once, {:.0} MB/s synced \
             each megabyte,\n{:.0} µs (p50) and {:.0} µs (p99) for 16 KiB synced. A lone commit \
             is one with no other waiting.\n\n",
            measured.raw_mb_per_s,
            measured.raw_synced_mb_per_s,
            measured.raw_commit_p50_us,
            measured.raw_commit_p99_us,
        );
        self.write_cases(&mut out);
        let _ = write!(
            out,
            "\nFetches of one partition from its segments: {:.0} MB/s. {} partitions with \
             {:.0} MB: closed in {:.0} ms with all of them\ndirty, opened in {:.0} ms, \
             {:.0} MiB resident after a read of each.\n",
            measured.fetch_mb_per_s,
            many.partitions,
            many.data_mb,
            many.close_dirty_ms,
            many.open_ms,
            many.resident_mib,
        );
        if !self.restarts.is_empty() {
            out.push_str("\n| data | start after a kill | of it replayed |\n|---|---|---|\n");
        }
        for Restart {
            gb,
            open_ms,
            replayed_mb,
        } in &self.restarts
        {
            let _ = writeln!(out, "| {gb} GB | {open_ms:.0} ms | {replayed_mb:.0} MB |");
        }
        out
    }

    fn write_cases(&self, out: &mut String) {
        out.push_str(
            "| durability | partitions | MB/s | to 1 partition | lone p50 | lone p99 | p99 | \
             p99 in a checkpoint | checkpoints | written per byte |\n\
             |---|---|---|---|---|---|---|---|---|---|\n",
        );
        for case in &self.measured.cases {
            let is_first = |other: &&CaseRow| other.durability == case.durability;
            let first = self.measured.cases.iter().find(is_first);
            let ratio = first.map_or(f64::NAN, |first| case.mb_per_s / first.mb_per_s);
            let _ = writeln!(
                out,
                "| {} | {} | {:.0} | {ratio:.2}x | {:.0} µs | {:.0} µs | {:.1} ms | {:.2}x | {} | \
                 {:.2} |",
                case.durability,
                case.partitions,
                case.mb_per_s,
                case.lone_p50_us,
                case.lone_p99_us,
                case.p99_outside_us / 1e3,
                case.p99_in_checkpoint_us / case.p99_outside_us,
                case.checkpoints,
                case.written_per_byte,
            );
        }
    }
}

/// Puts the committed JSON into the document.
pub(crate) fn render() -> Result<()> {
    let path = checkout().join("docs/benchmarks.md");
    let document = std::fs::read_to_string(&path)?;
    let section = Report::committed()?.markdown();
    std::fs::write(&path, with_section(&document, &section))?;
    Ok(())
}

/// The document with its section replaced, or added at its end.
fn with_section(document: &str, section: &str) -> String {
    let whole = format!("{BEGIN}{section}{END}");
    let old = document.split_once(BEGIN);
    match old.and_then(|(before, rest)| Some((before, rest.split_once(END)?.1))) {
        Some((before, behind)) => format!("{before}{whole}{behind}"),
        None => format!("{document}\n{whole}"),
    }
}

fn checkout() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn json_path() -> PathBuf {
    checkout().join("docs/benchmarks/log.json")
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
    let name = info.lines().find(|line| line.starts_with("model name"));
    let name = name.and_then(|line| line.split_once(':'));
    let name = name.map_or("unknown", |(_, name)| name.trim());
    let cores = info.lines().filter(|line| line.starts_with("processor"));
    Ok(format!("{name}, {} cores", cores.count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_where_it_stands() {
        let first = with_section("head\n", "one\n");
        let second = with_section(&format!("{first}tail\n"), "two\n");
        assert_eq!(second, format!("head\n\n{BEGIN}two\n{END}tail\n"));
    }
}
