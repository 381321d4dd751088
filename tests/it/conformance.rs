//! docs/conformance says which test shows which promise. Its tables may not name a test that is not
//! there, nor hold a promise that no test shows.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use avouch_tests::checkout;

use crate::checkout_files::rust_files;

#[test]
fn every_promise_names_a_test_and_every_named_test_exists() -> Result<()> {
    let tests = tests()?;
    let mut complaints = Vec::new();
    let mut promises = 0;
    for (file, page) in pages()? {
        for row in rows(&page) {
            promises += 1;
            let named: Vec<&str> = shown_by(row).split('`').skip(1).step_by(2).collect();
            if named.is_empty() {
                complaints.push(format!("{file}: no test in: {row}"));
            }
            let missing = named.into_iter().filter(|name| !tests.contains(*name));
            complaints.extend(missing.map(|name| format!("{file}: no such test: {name}")));
        }
    }
    assert_eq!(complaints, Vec::<String>::new());
    assert!(promises > 0, "no table was found");
    Ok(())
}

/// The rules of producing, fetching, metadata, administration and groups that are about what is
/// served: authentication (31) is not.
fn rules() -> impl Iterator<Item = u32> {
    (1..=39).filter(|rule| *rule != 31)
}

#[test]
fn every_rule_of_kafkas_has_a_promise() -> Result<()> {
    let page = fs::read_to_string(checkout().join("docs/conformance/broker.md"))?;
    let mut promised = BTreeSet::new();
    for row in rows(&page) {
        let cell = row.split('|').nth(2).unwrap_or_default().trim();
        let Some((head, _)) = cell.split_once(':') else {
            continue;
        };
        let numbers = head
            .strip_prefix("rules ")
            .or_else(|| head.strip_prefix("rule "));
        let words = numbers.into_iter().flat_map(|numbers| numbers.split(", "));
        promised.extend(words.map_while(|word| word.split(' ').next()?.parse::<u32>().ok()));
    }
    let missing: Vec<u32> = rules().filter(|rule| !promised.contains(rule)).collect();
    assert_eq!(missing, Vec::<u32>::new());
    Ok(())
}

/// File name and text of each page.
fn pages() -> Result<Vec<(String, String)>> {
    let folder = checkout().join("docs/conformance");
    let mut pages = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let text = fs::read_to_string(&path)?;
        pages.push((path.display().to_string(), text));
    }
    Ok(pages)
}

/// The rows of a page's tables, without their heads and rulers.
fn rows(page: &str) -> impl Iterator<Item = &str> {
    page.lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| # |"))
}

/// The last cell of a row.
fn shown_by(row: &str) -> &str {
    row.trim_end_matches([' ', '|'])
        .rsplit('|')
        .next()
        .unwrap_or_default()
}

/// The names of all tests of the checkout; a story about groups is a test of its file's name.
fn tests() -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    for story in fs::read_dir(checkout().join("broker/coordinator/src/group/scripts"))? {
        let path = story?.path();
        if path.extension().is_some_and(|extension| extension == "txt") {
            let name = path.file_stem().context("a story has a name")?;
            names.insert(name.to_string_lossy().into_owned());
        }
    }
    for source in rust_files()? {
        let mut is_test = false;
        for line in source.text.lines().map(str::trim_start) {
            if is_test_attribute(line) {
                is_test = true;
            } else if let Some(name) = function_name(line) {
                if is_test {
                    names.insert(name.to_owned());
                }
                is_test = false;
            }
        }
    }
    Ok(names)
}

fn is_test_attribute(line: &str) -> bool {
    ["#[test]", "#[tokio::test", "#[actix_web::test"]
        .iter()
        .any(|attribute| line.starts_with(attribute))
}

fn function_name(line: &str) -> Option<&str> {
    let line = line.strip_prefix("async ").unwrap_or(line);
    let name = line.strip_prefix("fn ")?;
    name.split(['(', '<']).next()
}
