//! The metrics of a running node compared with docs/operations.md.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::tempdir;

use crate::node::{Node, http_status};

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the names in backticks in the first column of the table of metrics, without labels.
fn documented() -> BTreeSet<String> {
    let page = fs::read_to_string(checkout().join("docs/operations.md")).unwrap();
    let (_, after) = page.split_once("| metric | |").unwrap();
    let rows = after.lines().skip(2).take_while(|row| row.starts_with('|'));
    let mut names = BTreeSet::new();
    for row in rows {
        let cell = row.split('|').nth(1).unwrap();
        let quoted = cell.split('`').skip(1).step_by(2);
        names.extend(quoted.map(|name| name.split('{').next().unwrap().to_owned()));
    }
    names
}

/// Returns the metric names in the string literals of broker, registry and node.
fn named_in_sources() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders = vec![
        checkout().join("broker/contract/src"),
        checkout().join("broker/net/src"),
        checkout().join("broker/server/src"),
        checkout().join("registry/server/src"),
        checkout().join("cli/src"),
        checkout().join("node/src"),
    ];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            let texts = source.split('"').skip(1);
            names.extend(texts.filter(|text| is_metric(text)).map(str::to_owned));
        }
    }
    names
}

fn is_metric(text: &str) -> bool {
    /// The channel of PostgreSQL notifications, and a field of `Debug`: not metrics.
    const OTHERS: [&str; 2] = ["avouch_registry", "kafka_address"];
    let is_name = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let is_prefixed = text.starts_with("avouch_") || text.starts_with("kafka_");
    is_name && is_prefixed && !OTHERS.contains(&text)
}

#[test]
fn documentation_lists_exactly_the_existing_metrics() {
    let documented = documented();
    let root = tempdir().unwrap();
    let node = Node::start(root.path(), &["--data-dir", "data"]);
    let (_, text) = http_status(&node.http(), "GET", "/metrics");
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let exported: BTreeSet<&str> = families.filter_map(|line| line.split(' ').next()).collect();
    assert!(exported.len() > 8, "{text}");
    for name in exported {
        assert!(documented.contains(name), "{name} is not documented");
    }
    // A metric with labels is exported only after its first value.
    let named = named_in_sources();
    let missing: Vec<_> = named.difference(&documented).collect();
    let unknown: Vec<_> = documented.difference(&named).collect();
    assert_eq!((missing, unknown), (Vec::new(), Vec::<&String>::new()));
    node.stop("-TERM");
}
