//! Repository rules that no lint checks: imports between crates and modules, lengths of files and
//! lines, and module heads.

use std::collections::BTreeSet;

use anyhow::Result;
use avouch_tests::registry::file;

use crate::checkout_files::rust_files;

const FILE_LINES_MAX: usize = 700;
const LINE_COLUMNS_MAX: usize = 100;

/// Folders of the workspace's crates, with the workspace crates that each may import.
const ALLOWED_IMPORTS: [(&str, &[&str]); 28] = [
    ("serde-avro/kernel", &[]),
    // Only the tests of the core import the generators, which import the core.
    (
        "serde-avro/core",
        &["avouch-avro-kernel", "avouch-avro-testing"],
    ),
    ("serde-avro/testing", &["avouch-avro"]),
    ("serde-avro/codegen", &["avouch-avro"]),
    // The types of its tests use the core.
    ("serde-avro/macros", &["avouch-avro", "avouch-codegen"]),
    (
        "serde-avro/shapes",
        &["avouch-avro", "avouch-avro-testing", "avouch-codegen"],
    ),
    ("compute", &[]),
    ("http", &[]),
    ("registry/api", &[]),
    (
        "registry/server",
        &[
            "avouch-avro",
            "avouch-compute",
            "avouch-http",
            "avouch-registry-api",
        ],
    ),
    ("broker/protocol", &[]),
    ("broker/net", &["avouch-protocol"]),
    ("broker/log", &["avouch-protocol"]),
    ("broker/coordinator", &["avouch-protocol", "avouch-log"]),
    (
        "broker/contract",
        &[
            "avouch-protocol",
            "avouch-avro",
            "avouch-compute",
            "avouch-registry-api",
        ],
    ),
    (
        "broker/server",
        &[
            "avouch-protocol",
            "avouch-net",
            "avouch-log",
            "avouch-coordinator",
            "avouch-contract",
            "avouch-compute",
            "avouch-http",
            "avouch-registry-api",
        ],
    ),
    (
        "node",
        &[
            "avouch-protocol",
            "avouch-net",
            "avouch-log",
            "avouch-http",
            "avouch-registry-api",
            "avouch-registry",
            "avouch-broker",
        ],
    ),
    (
        "cli",
        &[
            "avouch-avro",
            "avouch-codegen",
            "avouch-registry-api",
            "avouch-protocol",
            "avouch-log",
            "avouch-node",
        ],
    ),
    (
        "tests",
        &[
            "avouch-avro-testing",
            "avouch-tests",
            "avouch-faults",
            "avouch-history",
            "avouch-registry-api",
        ],
    ),
    ("tests/faults", &["avouch-avro-testing"]),
    ("tests/history", &[]),
    ("benches/report", &[]),
    ("benches/avro", &["avouch-avro", "avouch-bench-report"]),
    (
        "benches/contract",
        &["avouch-bench-report", "avouch-protocol"],
    ),
    ("benches/kafka", &["avouch-bench-report", "avouch-tests"]),
    (
        "benches/log",
        &[
            "avouch-bench-report",
            "avouch-bench-contract",
            "avouch-protocol",
            "avouch-log",
        ],
    ),
    ("benches/registry", &["avouch-bench-report"]),
    (
        "fuzz",
        &["avouch-avro", "avouch-avro-testing", "avouch-protocol"],
    ),
];

/// Folders and words that their code must not contain: the invariants of ARCHITECTURE.md.
const FORBIDDEN_WORDS: [(&str, &[&str]); 10] = [
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
        "broker/protocol/src/",
        &["tokio::", "std::net", "std::os", "rustix"],
    ),
    (
        "broker/log/src/",
        &["tokio::", "std::net", "SystemTime", "Instant::now"],
    ),
    (
        "broker/contract/src/",
        &["std::fs", "std::net", "actix_web", "Instant::now"],
    ),
    (
        "broker/coordinator/src/group/",
        &["tokio::", "std::fs", "SystemTime", "Instant::now", "Mutex"],
    ),
    ("broker/server/src/handler/", &["std::fs", "sqlx"]),
    ("broker/net/src/", &["RequestHeader", "protocol::message"]),
    (
        "registry/server/src/decide/",
        &[
            "tokio::",
            "sqlx",
            "actix_web",
            "std::fs",
            "std::net",
            "SystemTime",
            "Instant::now",
            "crate::store",
            "crate::service",
            "crate::rest",
        ],
    ),
];

/// Shell of the group machine, which passes the time to it and writes its records.
const GROUP_SHELL: &str = "broker/coordinator/src/group/coordinator";

// Conformance: main-job/9a
#[test]
fn crates_import_only_allowed_crates() -> Result<()> {
    let mut wrong = Vec::new();
    for member in members(&file("Cargo.toml")?) {
        if !ALLOWED_IMPORTS.iter().any(|(folder, _)| *folder == member) {
            wrong.push(format!("{member}: no entry in ALLOWED_IMPORTS"));
        }
    }
    for (folder, allowed) in ALLOWED_IMPORTS {
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

// Conformance: main-job/9a
#[test]
fn modules_contain_no_forbidden_words() -> Result<()> {
    let mut wrong = Vec::new();
    for source in rust_files()? {
        for (folder, words) in FORBIDDEN_WORDS {
            let is_shell = source.path.starts_with(GROUP_SHELL);
            if !source.path.starts_with(folder) || is_test_code(&source.path) || is_shell {
                continue;
            }
            for (number, line) in code(&source.text) {
                for word in words.iter().filter(|word| line.contains(**word)) {
                    wrong.push(format!("{}:{number}: {word}", source.path));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Files that create routes. All others list endpoints, whose routes are documented.
const ROUTING: [&str; 3] = [
    "node/src/http.rs",
    "http/src/endpoint.rs",
    "registry/server/src/rest/mod.rs",
];

// Conformance: registry/rest-4
#[test]
fn routes_are_created_from_documented_endpoints() -> Result<()> {
    let words = [concat!("web::", "resource("), concat!("web::", "scope(")];
    let mut wrong = Vec::new();
    for source in rust_files()? {
        let is_served = ["broker/", "node/src/", "http/src/", "registry/server/src/"]
            .iter()
            .any(|folder| source.path.starts_with(folder));
        let routes = words.iter().any(|word| source.text.contains(*word));
        if is_served && routes && !ROUTING.contains(&source.path.as_str()) {
            wrong.push(source.path);
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    Ok(())
}

// Conformance: main-job/9a
#[test]
fn handlers_never_import_handlers() -> Result<()> {
    const HANDLERS: &str = "broker/server/src/handler/";
    let sources = rust_files()?;
    let inside = |path: &str| path.strip_prefix(HANDLERS).map(str::to_owned);
    let handler_of = |path: &str| path.split(['/', '.']).next().unwrap_or_default().to_owned();
    let handlers: BTreeSet<String> = sources
        .iter()
        .filter_map(|source| inside(&source.path))
        .map(|path| handler_of(&path))
        .filter(|name| name != "mod")
        .collect();
    assert!(handlers.len() > 30, "{handlers:?}");
    let mut wrong = Vec::new();
    for source in &sources {
        let Some(path) = inside(&source.path) else {
            continue;
        };
        let own = handler_of(&path);
        if own == "mod" {
            continue;
        }
        // In a file below a handler's folder, `super` is the handler itself.
        let parent = match path.split_once('/') {
            Some((_, file)) if file != "mod.rs" => "super::super::",
            _ => "super::",
        };
        let code: Vec<&str> = code(&source.text).map(|(_, line)| line).collect();
        for name in reached(&code.join("\n"), &[parent, "crate::handler::"]) {
            if name != own && handlers.contains(&name) {
                wrong.push(format!("{}: {name}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

// Conformance: main-job/9a
#[test]
fn files_have_heads_and_bounded_lengths() -> Result<()> {
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
                wrong.push(format!("{path}:{number}: unfinished code"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Folders and names of the workspace's crates.
const OWN_NAMES: [(&str, &str); 27] = [
    ("serde-avro/kernel", "avouch-avro-kernel"),
    ("serde-avro/core", "avouch-avro"),
    ("serde-avro/testing", "avouch-avro-testing"),
    ("serde-avro/codegen", "avouch-codegen"),
    ("serde-avro/macros", "avouch-avro-macros"),
    ("serde-avro/shapes", "avouch-codegen-shapes"),
    ("http", "avouch-http"),
    ("registry/api", "avouch-registry-api"),
    ("registry/server", "avouch-registry"),
    ("broker/protocol", "avouch-protocol"),
    ("broker/net", "avouch-net"),
    ("broker/log", "avouch-log"),
    ("broker/coordinator", "avouch-coordinator"),
    ("broker/contract", "avouch-contract"),
    ("broker/server", "avouch-broker"),
    ("node", "avouch-node"),
    ("cli", "avouch"),
    ("tests", "avouch-tests"),
    ("tests/faults", "avouch-faults"),
    ("tests/history", "avouch-history"),
    ("benches/avro", "avouch-bench-avro"),
    ("benches/log", "avouch-bench-log"),
    ("benches/kafka", "avouch-bench-kafka"),
    ("benches/report", "avouch-bench-report"),
    ("benches/contract", "avouch-bench-contract"),
    ("benches/registry", "avouch-bench-registry"),
    ("fuzz", "avouch-fuzz"),
];

/// Returns the names of the workspace's packages that paths in a file begin with.
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

/// Returns the members of the workspace from its manifest.
fn members(manifest: &str) -> Vec<String> {
    let (_, rest) = manifest.split_once("\nmembers = [").unwrap_or_default();
    let (list, _) = rest.split_once(']').unwrap_or_default();
    let names = list.split('"').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

/// Returns numbered lines of code, without comments and items that are compiled for tests only.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut skipped: Option<Skipped<'_>> = None;
    (1..).zip(text.lines()).filter(move |(_, line)| {
        let trimmed = line.trim_start();
        if let Some(item) = &mut skipped {
            if item.ends_with(line) {
                skipped = None;
            }
            return false;
        }
        if trimmed.starts_with("#[cfg(test)]") {
            let indent = &line[..line.len() - trimmed.len()];
            skipped = Some(Skipped {
                indent,
                has_started: false,
            });
            return false;
        }
        !trimmed.starts_with("//")
    })
}

/// An item that is compiled for tests only, as rustfmt lays it out.
struct Skipped<'t> {
    indent: &'t str,
    /// True after the attributes.
    has_started: bool,
}

impl Skipped<'_> {
    /// Returns true if the item ends with this line.
    fn ends_with(&mut self, line: &str) -> bool {
        let own = line.strip_prefix(self.indent).unwrap_or(line);
        let is_first = !self.has_started;
        if is_first && (own.starts_with("#[") || own.starts_with("//")) {
            return false;
        }
        self.has_started = true;
        let is_one_line = is_first && (own.ends_with(';') || own.ends_with('}'));
        is_one_line || own == "}" || own == "};" || own == ");"
    }
}

/// Returns the names that follow one of these paths, also within braces.
fn reached(text: &str, paths: &[&str]) -> Vec<String> {
    let mut names = Vec::new();
    for path in paths {
        for (at, _) in text.match_indices(path) {
            if text[..at].ends_with("super::") {
                continue;
            }
            let rest = &text[at + path.len()..];
            let list = match rest.strip_prefix('{') {
                Some(list) => list.split('}').next().unwrap_or_default(),
                None => rest.split(|c: char| !is_word(c)).next().unwrap_or_default(),
            };
            let words = list.split(|c: char| !is_word(c)).map(str::to_owned);
            names.extend(words.filter(|word| !word.is_empty()));
        }
    }
    names
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_test_code(path: &str) -> bool {
    ["/tests/", "/scripts/", "/fake"]
        .iter()
        .any(|part| path.contains(part))
        || path.ends_with("tests.rs")
}

#[test]
fn code_excludes_test_items_only() {
    let text = [
        "use a;",
        "#[cfg(test)]",
        "mod tests;",
        "mod b;",
        "#[cfg(test)]",
        "#[path = \"x\"]",
        "mod c {",
        "    fn d() {",
        "    }",
        "}",
        "// comment",
        "impl E {",
        "    #[cfg(test)]",
        "    fn f() {",
        "        g();",
        "    }",
        "    fn h() {}",
        "}",
    ];
    let text = text.join("\n");
    let lines: Vec<&str> = code(&text).map(|(_, line)| line).collect();
    assert_eq!(
        lines,
        ["use a;", "mod b;", "impl E {", "    fn h() {}", "}"]
    );
}

#[test]
fn names_after_a_path_are_found() {
    let text = "use super::{Call, fetch::x};\nsuper::produce::y();\nuse super::super::z;";
    assert_eq!(
        reached(text, &["super::"]),
        ["Call", "fetch", "x", "produce", "super"]
    );
    assert_eq!(reached(text, &["super::super::"]), ["z"]);
}

#[test]
fn imports_are_found_wherever_a_path_begins() {
    // Split, so that this file itself does not seem to import anything.
    let prefix = "avouch";
    let text = format!(
        "use {prefix}_avro::schema;\n// use {prefix}_tests::x;\nlet a = {prefix}_broker::X;\n\
         let metric = \"{prefix}_contract_violations_total\";"
    );
    assert_eq!(imported(&text), ["avouch-avro", "avouch-broker"]);
}
