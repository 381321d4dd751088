//! Rejected batches as third-party clients report them: a batch with a record that violates the
//! contract, and a batch above the topic's size limit.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, ensure};
use avouch_tests::family::{Family, python};
use avouch_tests::matrix::record_client_result;
use avouch_tests::node::Node;
use avouch_tests::program::{Event, Running, acked};
use avouch_tests::protocol::Connection;
use avouch_tests::registry::register;
use avouch_tests::{krafka_client, rust_client};
use rdkafka::producer::Producer as _;

/// Confluent's framing of schema id 1, a length and text. The string of the second record has one
/// byte less than its length.
const VALUES: [&[u8]; 3] = [
    b"\0\0\0\0\x01\x02a",
    b"\0\0\0\0\x01\x04a",
    b"\0\0\0\0\x01\x02b",
];
const INVALID: usize = 1;

/// The content of a client's errors for a batch with one invalid record.
#[derive(Debug, Eq, PartialEq)]
struct Report {
    /// The error of the invalid record differs from those of the other records.
    names_record: bool,
    /// The error of the invalid record contains the broker's message.
    shows_reason: bool,
}

// Conformance: broker/clients-6, broker/produce-17
#[test]
fn clients_report_the_invalid_record() -> Result<()> {
    let node = Node::start()?;
    let mut connection = Connection::open(node.bootstrap())?;
    for (client, names_record, shows_reason) in [
        ("Java", true, true),
        ("kafka-python", true, true),
        ("confluent-kafka", true, false),
        ("rdkafka", true, false),
        ("aiokafka", false, false),
        ("kafkajs", false, false),
        ("krafka", false, false),
    ] {
        let topic = format!("checked-{client}");
        let id = register(&node.url(), &format!("{topic}-value"), r#""string""#)?;
        assert_eq!(id, 1);
        connection.create_topic(&topic, 1, &[])?;
        let events = produce(client, node.bootstrap(), &topic)?;
        let report = report(&events)?;
        let expected = Report {
            names_record,
            shows_reason,
        };
        assert_eq!(report, expected, "{client}: {events:?}");
        assert_eq!(connection.high_watermark(&topic, 0)?, 0, "{client}");
        let result = |is_true| if is_true { "yes" } else { "no" };
        let feature = "errors name the invalid record of a batch";
        record_client_result(client, feature, result(names_record))?;
        let feature = "errors show the reason of a violation";
        record_client_result(client, feature, result(shows_reason))?;
    }
    Ok(())
}

// Conformance: broker/produce-16
#[test]
fn java_sends_topic_ids() -> Result<()> {
    let node = Node::start()?;
    register(&node.url(), "checked-value", r#""string""#)?;
    Connection::open(node.bootstrap())?.create_topic("checked", 1, &[])?;
    report(&produce("Java", node.bootstrap(), "checked")?)?;
    let log = node.log()?;
    ensure!(
        log.contains("contract violation: ") && log.contains(" api_version=13 "),
        "{log}"
    );
    Ok(())
}

// Conformance: broker/produce-16
#[test]
fn kafka_python_infers_kafka_4_1() -> Result<()> {
    let node = Node::start()?;
    let events = kafka_python(node.bootstrap(), "t", &["--count", "1"])?;
    assert_eq!(acked(&events).len(), 1, "{events:?}");
    let inferred = serde_json::json!({ "kafka_version": [4, 1] });
    assert!(events.contains(&Event::Output(inferred)), "{events:?}");
    Ok(())
}

// Conformance: broker/produce-9
#[test]
fn kafka_python_splits_oversized_batch() -> Result<()> {
    const TOPIC: &str = "small";
    let node = Node::start()?;
    let mut connection = Connection::open(node.bootstrap())?;
    connection.create_topic(TOPIC, 1, &[("max.message.bytes", "10240")])?;
    let prefix = "x".repeat(1_000);
    let args = [
        "--count",
        "20",
        "--prefix",
        &prefix,
        "--batch-size",
        "1000000",
        "--linger-ms",
        "1000",
        "--partition",
        "0",
        "--idempotent",
    ];
    let events = kafka_python(node.bootstrap(), TOPIC, &args)?;
    let offsets: BTreeSet<i64> = acked(&events).iter().map(|record| record.offset).collect();
    assert_eq!(offsets, (0..20).collect(), "{events:?}");
    assert_eq!(connection.high_watermark(TOPIC, 0)?, 20);
    let batches = connection.batches(TOPIC, 0)?;
    assert!(batches.len() > 1, "the batch was not split");
    for batch in batches {
        // The parts have the sequence numbers of the rejected batch, which start with 0.
        assert_eq!(i64::from(batch.base_sequence), batch.min_offset);
    }
    let metrics = reqwest::blocking::get(format!("{}/metrics", node.url()))?.text()?;
    let rejected = r#"avouch_errors_total{api="Produce",code="MessageTooLarge"}"#;
    ensure!(metrics.contains(rejected), "no batch was rejected");
    let feature = "splits a batch above max.message.bytes";
    record_client_result("kafka-python", feature, "yes")
}

/// Produces the values in one batch.
fn produce(client: &str, broker: &str, topic: &str) -> Result<Vec<Event>> {
    let values = VALUES.map(hex).join(",");
    let args = ["--values-hex", &values, "--partition", "0", "--idempotent"];
    let slow = [args.as_slice(), &["--linger-ms", "1000"]].concat();
    match client {
        "Java" => Family::Java.run(broker, "produce", topic, &args),
        "kafkajs" => Family::Node.run(broker, "produce", topic, &args),
        "confluent-kafka" => Family::Python.run(broker, "produce", topic, &slow),
        "aiokafka" => Family::Aiokafka.run(broker, "produce", topic, &slow),
        "kafka-python" => kafka_python(broker, topic, &slow),
        "krafka" => {
            let text = |value: &[u8]| String::from_utf8(value.to_vec());
            let values = VALUES.into_iter().map(text).collect::<Result<_, _>>()?;
            krafka_client::produce_batch(broker, topic, values)
        }
        "rdkafka" => {
            let (producer, deliveries) = rust_client::producer(
                rust_client::config(broker)
                    .set("enable.idempotence", "true")
                    .set("linger.ms", "1000"),
            )?;
            for value in VALUES {
                rust_client::send(&producer, (topic, Some(0)), &hex(value), value)?;
            }
            producer.flush(std::time::Duration::from_secs(60))?;
            let events = deliveries.events().clone();
            Ok(events)
        }
        other => anyhow::bail!("unknown client {other}"),
    }
}

fn kafka_python(broker: &str, topic: &str, args: &[&str]) -> Result<Vec<Event>> {
    let mut command = python("kafka_python.py");
    command.args(["produce", "--bootstrap", broker, "--topic", topic]);
    Running::start(command.args(args))?.finish()
}

fn report(events: &[Event]) -> Result<Report> {
    let errors: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Failed { value, code, text } => Some((value, (code, text))),
            _ => None,
        })
        .collect();
    ensure!(errors.len() == VALUES.len(), "{events:?}");
    let names = [
        hex(VALUES[INVALID]),
        String::from_utf8(VALUES[INVALID].to_vec())?,
    ];
    let (invalid, valid): (Vec<_>, Vec<_>) = errors
        .into_iter()
        .partition(|(value, _)| names.contains(value));
    let (_, invalid) = invalid.first().context("no error of the invalid record")?;
    Ok(Report {
        names_record: valid.iter().all(|(_, error)| error != invalid),
        shows_reason: invalid
            .1
            .as_deref()
            .is_some_and(|text| text.contains("truncated")),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
