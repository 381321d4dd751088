//! What continuous integration runs, and for how long: read from its scripts.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use avouch_tests::registry::file;

#[test]
fn every_stage_of_the_tests_has_its_budget() -> Result<()> {
    let script = file("tests/run")?;
    let (_, budgets) = script.split_once("BUDGET=(").context("budgets")?;
    let (budgets, _) = budgets.split_once(')').context("their end")?;
    let minutes: BTreeMap<&str, u32> = budgets
        .split_whitespace()
        .filter_map(|word| word.strip_prefix('[')?.split_once("]="))
        .map(|(stage, minutes)| Ok((stage, minutes.parse()?)))
        .collect::<Result<_>>()?;
    let budget = [
        ("build", 15),
        ("rust", 8),
        ("clients", 10),
        ("crash", 6),
        ("fuzz", 3),
        ("asan", 3),
    ];
    for (stage, most) in budget {
        assert_eq!(minutes.get(stage), Some(&most), "{stage}");
    }
    let (_, all) = script.split_once("ALL=\"").context("stages")?;
    let (all, _) = all.split_once('"').context("their end")?;
    for stage in all.split(' ') {
        assert!(minutes.contains_key(stage), "{stage}");
    }
    assert!(script.contains("timeout \"$((BUDGET[$current] * 60 * 3))\""));
    Ok(())
}

#[test]
fn continuous_integration_runs_every_check() -> Result<()> {
    let script = file(".ci/run")?;
    let stages = "set -- fmt clippy doc deny tests schemas";
    assert!(script.contains(stages));
    for command in [
        "cargo fmt --all --check",
        "cargo clippy --workspace --all-targets -- -D warnings",
        "cargo deny check",
        "tests/run",
        "schema check schemas",
    ] {
        assert!(script.contains(command), "{command}");
    }
    Ok(())
}

#[test]
fn plain_cargo_test_leaves_out_what_needs_more_than_rust() -> Result<()> {
    let manifest = file("Cargo.toml")?;
    let (_, rest) = manifest
        .split_once("default-members = [")
        .context("default members")?;
    let (members, _) = rest.split_once(']').context("their end")?;
    for member in ["\"tests\"", "\"fuzz\"", "\"benches/"] {
        assert!(!members.contains(member), "{member}");
    }
    assert!(members.contains("\"broker\"") && members.contains("\"tests/history\""));
    Ok(())
}
