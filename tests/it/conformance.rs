//! docs/conformance.md says which test shows which promise. It may not name a test that is not
//! there, nor leave a promise out.

use std::collections::BTreeSet;

use anyhow::Result;
use avouch_tests::registry::file;

use crate::checkout_files::rust_files;

/// Promises, numbered as in docs/conformance.md.
const PROMISES: usize = 9;

#[test]
fn every_promise_names_a_test_and_every_named_test_exists() -> Result<()> {
    let table = file("docs/conformance.md")?;
    let tests = tests()?;
    let mut promised = BTreeSet::new();
    let mut missing = Vec::new();
    for row in table.lines().filter(|line| line.starts_with("| ")) {
        let mut cells = row.trim_matches('|').split('|').map(str::trim);
        let number: Option<usize> = cells
            .next()
            .and_then(|cell| cell.trim_end_matches(char::is_alphabetic).parse().ok());
        let (Some(number), Some(shown_by)) = (number, cells.next_back()) else {
            continue;
        };
        let named: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        if !named.is_empty() {
            promised.insert(number);
        }
        missing.extend(named.into_iter().filter(|name| !tests.contains(*name)));
    }
    assert_eq!(missing, Vec::<&str>::new(), "no such tests");
    assert_eq!(
        promised,
        (1..=PROMISES).collect(),
        "promises that name a test"
    );
    Ok(())
}

/// The names of all tests of the checkout.
fn tests() -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
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
