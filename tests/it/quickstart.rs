//! The quickstart of the README: validation end to end with an unmodified client.

use anyhow::{Context as _, Result};
use avouch_tests::checkout;
use avouch_tests::family::{Family, python};
use avouch_tests::node::Node;
use avouch_tests::program::{Event, stdout_of};
use avouch_tests::protocol::Connection;
use avouch_tests::registry::{file, register};

/// Runs the quickstart on a new node and returns its output.
fn quickstart(node: &Node) -> Result<String> {
    stdout_of(
        python("story.py")
            .args([node.bootstrap(), &node.url()])
            .arg(checkout().join("schemas/payments-value"))
            .arg(checkout().join("tests/data/payments-incompatible.avsc")),
    )
}

// Conformance: main-job/2a
#[test]
fn quickstart_rejects_invalid_payments() -> Result<()> {
    let node = Node::start()?;
    let output = quickstart(&node)?;
    let expected = [
        "register version 1 of payments-value: 200, schema id 1",
        "produce 1000 payments: 1000 acknowledged",
        "consume them in a group: 1000 payments, first: p-000000",
        "produce a truncated payment: INVALID_RECORD (87)",
        "produce a schema id of another subject: INVALID_RECORD (87)",
        "  record 0: value: payments-value v1 (id 1): /fee: truncated at byte",
        "  record 0: value: id 2 is registered as greetings-value v1, not under payments-value",
        "end offset before and after: 1000, 1000",
        "register an incompatible version: 409",
        "merchantCategory",
        "register a compatible version: 200, schema id 3",
    ];
    // The parts must occur in this order.
    let mut rest = output.as_str();
    for part in expected {
        let (_, after) = rest
            .split_once(part)
            .with_context(|| format!("{part} in\n{output}"))?;
        rest = after;
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
fn readme_shows_quickstart_output() -> Result<()> {
    let output = quickstart(&Node::start()?)?;
    let readme = file("README.md")?;
    assert!(
        readme.contains(&output),
        "the quickstart output in README.md should be:\n{output}"
    );
    Ok(())
}

// Conformance: main-job/2b
#[test]
fn java_exception_contains_violation() -> Result<()> {
    let node = Node::start()?;
    let schema = file("schemas/payments-value/1.avsc")?;
    let id = register(&node.url(), "payments-value", &schema)?;
    // Only the first two of the three strings.
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
