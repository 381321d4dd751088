//! The quickstart of the README: validation end to end with an unmodified client.

use anyhow::Result;
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
fn quickstart_prints_readme_and_rejects_payments() -> Result<()> {
    let node = Node::start()?;
    let output = quickstart(&node)?;
    let readme = file("README.md")?;
    assert!(
        readme.contains(&output),
        "the quickstart output in README.md should be:\n{output}"
    );
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
