//! The house rules that no lint checks: which crate and which module may know which, how long a
//! file and a line may be, and that every file says what it is.

use anyhow::Result;
use avouch_tests::registry::file;

use crate::checkout_files::rust_files;

const FILE_LINES_MAX: usize = 600;
const LINE_COLUMNS_MAX: usize = 100;

/// A crate's folder, and those of ours that it may import.
const ARROWS: [(&str, &[&str]); 14] = [
    ("serde-avro/kernel", &[]),
    // Only the tests of the core import the generators, which import the core.
    (
        "serde-avro/core",
        &["avouch-avro-kernel", "avouch-avro-random"],
    ),
    ("serde-avro/random", &["avouch-avro"]),
    ("registry/api", &[]),
    ("registry/server", &["avouch-avro", "avouch-registry-api"]),
    ("broker", &["avouch-avro", "avouch-registry-api"]),
    (
        "cli",
        &[
            "avouch-avro",
            "avouch-registry-api",
            "avouch-registry",
            "avouch-broker",
        ],
    ),
    ("tests", &["avouch-tests", "avouch-history"]),
    ("tests/history", &[]),
    ("benches/avro", &["avouch-avro"]),
    (
        "benches/log",
        &[
            "avouch-bench-avro",
            "avouch-bench-contract",
            "avouch-broker",
        ],
    ),
    ("benches/contract", &["avouch-bench-avro", "avouch-broker"]),
    ("benches/registry", &["avouch-bench-avro"]),
    ("fuzz", &["avouch-avro"]),
];

/// A folder, and words that its code must not contain: the invariants of ARCHITECTURE.md that are
/// absences.
const ABSENCES: [(&str, &[&str]); 8] = [
    (
        "serde-avro/kernel/src/",
        &["std::fs", "std::net", "std::env"],
    ),
    (
        "serde-avro/core/src/",
        &["tokio::", "std::fs", "std::net", "actix_web"],
    ),
    ("registry/api/src/", &["sqlx", "actix_web"]),
    (
        "broker/src/wire/",
        &["tokio::", "std::net", "crate::handler", "crate::server"],
    ),
    (
        "broker/src/log/",
        &[
            "avouch_",
            "crate::contract",
            "crate::handler",
            "crate::server",
        ],
    ),
    (
        "broker/src/contract/",
        &["crate::log", "crate::handler", "crate::server"],
    ),
    (
        "broker/src/group/machine",
        &["tokio::", "std::fs", "SystemTime", "Mutex"],
    ),
    ("broker/src/handler/", &["std::fs", "sqlx"]),
];

#[test]
fn crates_import_only_what_stands_below_them() -> Result<()> {
    let mut wrong = Vec::new();
    for (folder, allowed) in ARROWS {
        let path = format!("{folder}/Cargo.toml");
        for line in file(&path)?.lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if name.starts_with("avouch-") && !allowed.contains(&name) {
                wrong.push(format!("{path}: {name}"));
            }
        }
        for source in rust_files()? {
            if !source.path.starts_with(&format!("{folder}/")) {
                continue;
            }
            let own = OWN_NAMES.iter().find(|(at, _)| *at == folder);
            let own = own.map_or("", |(_, name)| name);
            for name in imported(&source.text) {
                if name != own && !allowed.contains(&name.as_str()) {
                    wrong.push(format!("{}: {name}", source.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn modules_do_not_know_what_they_must_not() -> Result<()> {
    let mut wrong = Vec::new();
    for source in rust_files()? {
        for (folder, words) in ABSENCES {
            if !source.path.starts_with(folder) || is_test_code(&source.path) {
                continue;
            }
            let code = source.text.split("#[cfg(test)]").next().unwrap_or_default();
            for (number, line) in (1..).zip(code.lines()) {
                let is_code = !line.trim_start().starts_with("//");
                for word in words.iter().filter(|word| is_code && line.contains(**word)) {
                    wrong.push(format!("{}:{number}: {word}", source.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Files that mount routes. The OpenAPI document is made from the same constants and tables there;
/// a route from elsewhere would be missing in it.
const MOUNTING: [&str; 3] = [
    "broker/src/contract/http.rs",
    "cli/src/http.rs",
    "registry/server/src/rest/mod.rs",
];

#[test]
fn routes_are_mounted_only_where_the_document_is_made() -> Result<()> {
    let words = [concat!("web::", "resource("), concat!("web::", "scope(")];
    let mut wrong = Vec::new();
    for source in rust_files()? {
        let is_served = ["broker/src/", "cli/src/", "registry/server/src/"]
            .iter()
            .any(|folder| source.path.starts_with(folder));
        let mounts = words.iter().any(|word| source.text.contains(*word));
        if is_served && mounts && !MOUNTING.contains(&source.path.as_str()) {
            wrong.push(source.path);
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    Ok(())
}

#[test]
fn files_say_what_they_are_and_fit_a_screen_or_a_few() -> Result<()> {
    let leftovers = [concat!("to", "do!("), concat!("unimple", "mented!(")];
    let mut wrong = Vec::new();
    for source in rust_files()? {
        let path = &source.path;
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            wrong.push(format!("{path}: {lines} lines"));
        }
        if !source.text.starts_with("//!") {
            wrong.push(format!("{path}: no head"));
        }
        for (number, line) in (1..).zip(source.text.lines()) {
            let columns = line.chars().count();
            if columns > LINE_COLUMNS_MAX {
                wrong.push(format!("{path}:{number}: {columns} columns"));
            }
            if leftovers.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{path}:{number}: left to do"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// What a crate's own binaries and integration tests call it.
const OWN_NAMES: [(&str, &str); 14] = [
    ("serde-avro/kernel", "avouch-avro-kernel"),
    ("serde-avro/core", "avouch-avro"),
    ("serde-avro/random", "avouch-avro-random"),
    ("registry/api", "avouch-registry-api"),
    ("registry/server", "avouch-registry"),
    ("broker", "avouch-broker"),
    ("cli", "avouch"),
    ("tests", "avouch-tests"),
    ("tests/history", "avouch-history"),
    ("benches/avro", "avouch-bench-avro"),
    ("benches/log", "avouch-bench-log"),
    ("benches/contract", "avouch-bench-contract"),
    ("benches/registry", "avouch-bench-registry"),
    ("fuzz", "avouch-fuzz"),
];

/// Crates of ours that a file's paths begin with, as packages are named.
fn imported(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
    {
        for (at, _) in line.match_indices("avouch_") {
            let preceded =
                line[..at].ends_with(|c: char| c.is_alphanumeric() || "_\"{.".contains(c));
            let name: String = line[at..]
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            let is_path = line[at + name.len()..].starts_with("::");
            if is_path && !preceded {
                names.push(name.replace('_', "-"));
            }
        }
    }
    names
}

fn is_test_code(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("tests.rs") || path.contains("/fake")
}

#[test]
fn imports_are_found_wherever_a_path_begins() {
    // Split, so that this file itself does not seem to import anything.
    let ours = "avouch";
    let text = format!(
        "use {ours}_avro::schema;\n// use {ours}_tests::x;\nlet a = {ours}_broker::X;\n\
         let metric = \"{ours}_contract_violations_total\";"
    );
    assert_eq!(imported(&text), ["avouch-avro", "avouch-broker"]);
}
