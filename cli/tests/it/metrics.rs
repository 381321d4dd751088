//! The metrics of a running node against what docs/operations.md says of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::tempdir;

use crate::node::{Node, http_status};

fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Names in backticks in the first cells of the table of metrics, without their labels.
fn documented() -> BTreeSet<String> {
    let page = fs::read_to_string(checkout().join("docs/operations.md")).unwrap();
    let (_, behind) = page.split_once("| metric | |").unwrap();
    let rows = behind
        .lines()
        .skip(2)
        .take_while(|row| row.starts_with('|'));
    let mut names = BTreeSet::new();
    for row in rows {
        let cell = row.split('|').nth(1).unwrap();
        let quoted = cell.split('`').skip(1).step_by(2);
        names.extend(quoted.map(|name| name.split('{').next().unwrap().to_owned()));
    }
    names
}

/// Names that stand in the sources of both halves as a text of their own.
fn named_in_sources() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders = vec![
        checkout().join("broker/contract/src"),
        checkout().join("broker/net/src"),
        checkout().join("broker/server/src"),
        checkout().join("registry/server/src"),
        checkout().join("cli/src"),
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
    /// What PostgreSQL's notifications are sent under.
    const CHANNEL: &str = "avouch_registry";
    let is_name = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let is_ours = text.starts_with("avouch_") && text != CHANNEL;
    is_name && (is_ours || text.starts_with("kafka_"))
}

#[test]
fn every_metric_is_documented_and_nothing_else() {
    let documented = documented();
    let root = tempdir().unwrap();
    let node = Node::start(root.path(), &["--data-dir", "data"]);
    let (_, text) = http_status(&node.http(), "GET", "/metrics");
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let told: BTreeSet<&str> = families.filter_map(|line| line.split(' ').next()).collect();
    assert!(told.len() > 8, "{text}");
    for name in told {
        assert!(documented.contains(name), "{name} is not documented");
    }
    // What counts by label is told only once there is something to count.
    let named = named_in_sources();
    let missing: Vec<_> = named.difference(&documented).collect();
    let invented: Vec<_> = documented.difference(&named).collect();
    assert_eq!((missing, invented), (Vec::new(), Vec::<&String>::new()));
    node.stop("-TERM");
}
