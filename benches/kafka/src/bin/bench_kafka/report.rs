//! `docs/benchmarks/broker.json`: the results of a whole run, with rows that were measured again
//! later.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use avouch_tests::checkout;
use avouch_tests::peer::Kind;
use serde_json::{Value, json};

use crate::Plan;
use crate::results::{Results, Row, median};

const NOTES: &str = "Client and brokers share the machine. No process is pinned to a core, because \
    the garbage collector and\nthe compiler threads of a JVM need other cores than its request \
    threads. CPU time is therefore more comparable than rates.\nConsume results include the first \
    fetch. Memory is the resident size: idle after the first record, loaded after one round of \
    all\nworkloads, and the highest value within that round. Start times of Kafka exclude \
    formatting its storage. End-to-end latency starts when\na record is due, with \
    linger 0, so that \
    it includes delays in the client. Each idle consumer sends fetches with a max wait of 500 \
    ms,\nthe default of clients, which makes 2,000 fetches per second.";

pub(crate) fn write(
    results: &Results,
    plan: &Plan,
    share_rate: Option<f64>,
    syncs_ms: Option<(f64, f64)>,
) -> Result<()> {
    let commit = commit()?;
    let rows = results.rows.iter();
    let new = rows.map(|(name, row)| (name.clone(), row_json(name, row, &commit)));
    let new: BTreeMap<_, _> = new.collect();
    let mut report = match plan.only {
        Some(_) => committed().context("no results of a whole run to update")?,
        None => json!({
            "commit": commit,
            "machine": printed("sh", &["-c", MACHINE])?,
            "load": fs::read_to_string("/proc/loadavg")?.split(' ').next(),
            "rounds": plan.rounds,
            "seconds": plan.span.as_secs(),
            "client": if cfg!(debug_assertions) {
                "one librdkafka client for all, a debug build"
            } else {
                "one librdkafka client for all"
            },
            "kafka": "4.1.1, KRaft, heap 1 GiB, defaults: not synced before it acknowledges",
            "avouch": "durability fsync: synced before it acknowledges",
            "avouch_os": "durability os: not synced before it acknowledges",
            "notes": NOTES,
        }),
    };
    if let Some(rate) = share_rate {
        report["share_rate"] = json!(rate);
    }
    if let Some((p50, p99)) = syncs_ms {
        report["sync_p50_ms"] = json!(p50);
        report["sync_p99_ms"] = json!(p99);
    }
    report["rows"] = merged(&report["rows"], new);
    fs::write(path(), serde_json::to_string_pretty(&report)? + "\n")?;
    Ok(())
}

/// Returns the medians of Avouch and Kafka in a row of the committed report.
pub(crate) fn medians(name: &str) -> Option<Vec<f64>> {
    let report = committed().ok()?;
    let row = report["rows"].as_array()?;
    let row = row.iter().find(|row| row["name"] == name)?;
    let kinds = ["avouch", "kafka"].iter();
    Some(kinds.filter_map(|kind| row[*kind].as_f64()).collect())
}

fn row_json(name: &str, row: &Row, commit: &str) -> Value {
    let of = |kind: Kind| row.get(kind.name()).map(|values| median(values));
    json!({
        "name": name,
        "commit": commit,
        "avouch": of(Kind::Avouch),
        "avouch_os": of(Kind::AvouchOs),
        "kafka": of(Kind::Kafka),
        "rounds": row,
    })
}

/// Replaces rows of `old` by new ones with the same name.
fn merged(old: &Value, new: BTreeMap<String, Value>) -> Value {
    let old = old.as_array().into_iter().flatten();
    let mut rows: BTreeMap<String, Value> = old
        .filter_map(|row| Some((row["name"].as_str()?.to_owned(), row.clone())))
        .collect();
    rows.extend(new);
    rows.into_values().collect()
}

fn committed() -> Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(path())?)?)
}

fn path() -> PathBuf {
    checkout().join("docs/benchmarks/broker.json")
}

/// Returns the commit, with a plus sign if files were modified.
fn commit() -> Result<String> {
    let changed = printed("git", &["status", "--porcelain", "--untracked-files=no"])?;
    let mark = if changed.is_empty() { "" } else { "+" };
    Ok(printed("git", &["rev-parse", "--short=12", "HEAD"])? + mark)
}

const MACHINE: &str =
    "sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1; echo \", $(nproc) cores\"";

fn printed(program: &str, args: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(args)
        .current_dir(checkout())
        .output()?;
    Ok(String::from_utf8(output.stdout)?.trim().replace('\n', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_row_replaces_row_of_same_name() {
        let old = json!([{"name": "a", "avouch": 1}, {"name": "b", "avouch": 2}]);
        let new = json!({"name": "b", "avouch": 3});
        let merged = merged(&old, BTreeMap::from([("b".to_owned(), new)]));
        assert_eq!(
            merged,
            json!([{"name": "a", "avouch": 1}, {"name": "b", "avouch": 3}])
        );
    }
}
