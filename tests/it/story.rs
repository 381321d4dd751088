//! The main job, end to end with an ordinary client, and what the README shows of it.

use anyhow::{Context as _, Result};
use avouch_tests::checkout;
use avouch_tests::family::{Family, python};
use avouch_tests::node::Node;
use avouch_tests::program::{Event, printed};
use avouch_tests::protocol::Connection;
use avouch_tests::registry::{file, register};

/// The story's output on a fresh node.
fn story(node: &Node) -> Result<String> {
    printed(
        python("story.py")
            .args([node.bootstrap(), &node.url()])
            .arg(checkout().join("schemas/payments-value"))
            .arg(checkout().join("tests/data/payments-incompatible.avsc")),
    )
}

// Conformance: main-job/2a
#[test]
fn the_story_runs_with_confluent_kafka_and_bad_payments_stay_out() -> Result<()> {
    let node = Node::start()?;
    let told = story(&node)?;
    let expected = [
        "register version 1 of payments-value: 200, schema id 1",
        "produce 1000 payments: 1000 acknowledged",
        "consume them in a group: 1000, the first is p-000000",
        "produce a payment cut short: INVALID_RECORD (87)",
        "produce one with another subject's schema id: INVALID_RECORD (87)",
        "  record 0: value: payments-value v1 (id 1): /fee: truncated at byte",
        "  record 0: value: id 2 is registered as greetings-value v1, not under payments-value",
        "end offset before and after: 1000, 1000",
        "register an incompatible version: 409",
        "merchantCategory",
        "register a compatible version: 200, schema id 3",
    ];
    let mut rest = told.as_str();
    for part in expected {
        let (_, behind) = rest
            .split_once(part)
            .with_context(|| format!("{part} in\n{told}"))?;
        rest = behind;
    }
    let stored: i32 = Connection::open(node.bootstrap())?
        .batches("payments", 0)?
        .iter()
        .map(|batch| batch.record_count)
        .sum();
    assert_eq!(stored, 1000);
    let log = node.log()?;
    let lines = log
        .lines()
        .filter(|line| line.contains("contract violation"));
    assert_eq!(lines.count(), 2, "{log}");
    Ok(())
}

// Conformance: main-job/2a
#[test]
fn the_readme_shows_the_story_as_it_runs() -> Result<()> {
    let told = story(&Node::start()?)?;
    let readme = file("README.md")?;
    assert!(
        readme.contains(&told),
        "the README's story should be:\n{told}"
    );
    Ok(())
}

// Conformance: main-job/2b
#[test]
fn a_java_producer_reads_the_fault_in_its_exception() -> Result<()> {
    let node = Node::start()?;
    let schema = file("schemas/payments-value/1.avsc")?;
    let id = register(&node.url(), "payments-value", &schema)?;
    // The three strings, and nothing behind them.
    let cut = format!("00{id:08x}02610262");
    let args = ["--values-hex", &cut];
    let events = Family::Java.run(node.bootstrap(), "produce", "payments", &args)?;
    let Some(Event::Failed { code, text, .. }) = events.first() else {
        panic!("{events:?}");
    };
    assert_eq!(*code, Some(87));
    let text = text.as_deref().unwrap_or_default();
    let place = format!("payments-value v1 (id {id}): /merchantId: truncated at byte 4");
    assert!(text.contains(&place), "{text}");
    Ok(())
}
