//! The options and broker configs of docs/operations.md compared with those of the binary.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tempfile::tempdir;

use crate::broker_configs::describe;
use crate::node::{Node, avouch};

/// Returns the cells of every table row of the page, without the outer bars.
fn rows() -> Vec<Vec<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let page = fs::read_to_string(page).unwrap().replace("\\|", "/");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// Returns the texts in backticks.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Returns the value of a default in base units, as the broker describes it.
fn described(default: &str) -> Option<String> {
    if default.starts_with('`') {
        return Some(quoted(default).collect::<Vec<_>>().join(","));
    }
    if default == "unlimited" {
        return Some(i32::MAX.to_string());
    }
    let mut words = default.split(' ');
    let number: u64 = words.next()?.replace(',', "").parse().ok()?;
    let unit = match words.next().map(|word| word.trim_end_matches(',')) {
        Some("KiB") => 1 << 10,
        Some("MiB") => 1 << 20,
        Some("s") => 1_000,
        Some("min") => 60_000,
        None | Some("bytes") => 1,
        Some(_) => return None,
    };
    Some((number * unit).to_string())
}

// Conformance: operation/6
#[test]
fn documented_options_equal_help() {
    let root = tempdir().unwrap();
    let output = avouch(root.path()).args(["serve", "--help"]).output();
    let help = String::from_utf8(output.unwrap().stdout).unwrap();
    let mut documented = BTreeMap::new();
    // The table of options has four columns.
    let options = rows().into_iter().filter(|row| row.len() > 4);
    for row in options.filter(|row| row[0].starts_with("`--")) {
        let flag = quoted(&row[0]).next().unwrap();
        let name = flag.split([' ', '[']).next().unwrap().to_owned();
        if let Some(variable) = quoted(&row[1]).next() {
            documented.insert(name, (variable.to_owned(), row[3].clone()));
        }
    }
    let options = help.split("\n      --").skip(1);
    let mut served = 0;
    for option in options {
        let name = option.split([' ', '[', '\n']).next().unwrap();
        let Some((variable, default)) = documented.get(&format!("--{name}")) else {
            panic!("--{name} is not in docs/operations.md");
        };
        assert!(option.contains(&format!("[env: {variable}")), "{option}");
        if let Some((_, shown)) = option.split_once("[default: ") {
            let shown = shown.split(']').next().unwrap();
            // A default that is described and not a value differs in its wording.
            let is_value = !shown.contains(' ');
            assert!(!is_value || default.contains(shown), "--{name}: {default}");
        }
        served += 1;
    }
    assert_eq!(served, documented.len(), "{documented:?}");
}

// Conformance: operation/6
#[test]
fn documented_broker_configs_have_their_defaults() {
    let root = tempdir().unwrap();
    let node = Node::start(root.path(), &["--data-dir", "data"]);
    let configs = describe(&node.kafka());
    let mut compared = 0;
    for row in rows().iter().filter(|row| row[0].starts_with('`')) {
        let names: Vec<&str> = quoted(&row[0]).collect();
        let is_list = row[0] == format!("`{}`", names.join("`, `"));
        let defaults: Vec<&str> = match (is_list, row.get(1)) {
            (true, Some(cell)) if names.len() > 1 => cell.split(", ").collect(),
            (_, cell) => cell.into_iter().map(String::as_str).collect(),
        };
        // A cell refers to another table if it has not one value per name.
        for (name, default) in names.into_iter().zip(defaults) {
            let (Some((value, _)), Some(expected)) = (configs.get(name), described(default)) else {
                continue;
            };
            assert_eq!(value.as_deref(), Some(expected.as_str()), "{name}");
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared}");
    node.stop("-TERM");
}
