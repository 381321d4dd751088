//! Contract validation over a socket, with cases that other implementations handle incorrectly: the
//! exact response of each, and the content of the log afterwards.

use std::time::Duration;

use anyhow::{Context as _, Result};
use avouch_tests::deadline::eventually;
use avouch_tests::family::{CODECS, Family, java};
use avouch_tests::node::Node;
use avouch_tests::program::{Event, acked, stdout_of};
use avouch_tests::protocol::{CLIENT_ID, Connection, produce_request};
use avouch_tests::registry::{get, register, request};
use avouch_tests::rust_client;
use reqwest::Method;
use serde_json::Value;

const TOPIC: &str = "payments";
const SUBJECT: &str = "payments-value";
const PAYMENT: &str = r#"{"type": "record", "name": "Payment", "fields": [
    {"name": "id", "type": "string"}, {"name": "amount", "type": "long"}]}"#;
const INVALID_RECORD: i16 = 87;
const INVALID_CONFIG: i16 = 40;

/// Values of one batch; `None` is null.
type Values<'a> = &'a [Option<&'a [u8]>];

/// A node with a schema for `payments-value`, and a raw connection to it.
struct Fixture {
    node: Node,
    connection: Connection,
    /// Id of the schema.
    id: u32,
}

impl Fixture {
    fn new() -> Result<Self> {
        Self::with_schema(PAYMENT)
    }

    fn with_schema(schema: &str) -> Result<Self> {
        let node = Node::start()?;
        let id = register(&node.url(), SUBJECT, schema)?;
        let mut connection = Connection::open(node.bootstrap())?;
        // The topic is empty, so mode `auto` enforces the contract.
        connection.create_topic(TOPIC, 3, &[])?;
        Ok(Self {
            node,
            connection,
            id,
        })
    }

    /// Encodes the payment (`p1`, 7).
    fn valid(&self) -> Vec<u8> {
        // Avro: the string length 2 as a zigzag varint, its bytes, and the long 7.
        framed(self.id, b"\x04p1\x0e")
    }

    /// Encodes the payment without its last field.
    fn truncated(&self) -> Vec<u8> {
        framed(self.id, b"\x04p1")
    }

    /// Produces one batch and checks that it is rejected and nothing of it is stored. Returns the
    /// indexes of the rejected records, and the reason code of the first violation in the feed.
    fn rejected(&mut self, values: Values<'_>) -> Result<(Vec<i32>, String)> {
        let before = self.connection.high_watermark(TOPIC, 0)?;
        // The feed contains the violations of earlier batches too.
        let previous = self.violations()?.len();
        let response = self.connection.produce_values(TOPIC, values)?;
        assert_eq!(response.error_code, INVALID_RECORD, "{response:?}");
        assert_eq!(response.base_offset, -1);
        assert_eq!(self.connection.high_watermark(TOPIC, 0)?, before);
        let errors = response.record_errors.iter();
        let mut indexes: Vec<i32> = errors.map(|error| error.batch_index).collect();
        // A single violation is listed twice.
        indexes.dedup();
        let violations = self.violations()?;
        let first = violations.get(previous).context("no new violation")?;
        let reason = first["reason"].as_str().unwrap_or_default().to_owned();
        Ok((indexes, reason))
    }

    /// Produces one batch and checks that all of it is stored.
    fn accepted(&mut self, values: Values<'_>) -> Result<()> {
        let before = self.connection.high_watermark(TOPIC, 0)?;
        let response = self.connection.produce_values(TOPIC, values)?;
        assert_eq!(
            (response.error_code, response.base_offset),
            (0, before),
            "{response:?}"
        );
        let after = before + i64::try_from(values.len())?;
        assert_eq!(self.connection.high_watermark(TOPIC, 0)?, after);
        Ok(())
    }

    fn violations(&self) -> Result<Vec<Value>> {
        let path = format!("/v1/contracts/violations?topic={TOPIC}");
        let (_, body) = get(&self.node.url(), &path)?;
        Ok(body["violations"].as_array().cloned().unwrap_or_default())
    }
}

// Conformance: main-job/8a
#[test]
fn one_invalid_record_rejects_the_batch() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let (valid, truncated) = (fixture.valid(), fixture.truncated());
    let (valid, truncated) = (Some(valid.as_slice()), Some(truncated.as_slice()));
    let cases: [(Values<'_>, &[i32]); 6] = [
        (&[truncated, valid], &[0]),
        (&[valid, truncated], &[1]),
        (&[valid, truncated, valid, truncated, valid], &[1, 3]),
        // A null value is a tombstone and always valid.
        (&[None, truncated], &[1]),
        (&[truncated, None], &[0]),
        (&[None, truncated, None], &[1]),
    ];
    for (values, bad) in cases {
        let expected = (bad.to_vec(), "truncated".to_owned());
        assert_eq!(fixture.rejected(values)?, expected);
    }
    fixture.accepted(&[valid, None, valid])
}

// Conformance: main-job/2b
#[test]
fn violation_is_reported_by_all_channels() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let (valid, truncated) = (fixture.valid(), fixture.truncated());
    let response = fixture
        .connection
        .produce_values(TOPIC, &[Some(&valid), Some(&truncated)])?;

    let [error, repeated] = response.record_errors.as_slice() else {
        panic!("{response:?}");
    };
    assert_eq!(error, repeated);
    assert_eq!(error.batch_index, 1);
    let text = error
        .batch_index_error_message
        .as_deref()
        .unwrap_or_default();
    let place = format!(
        "value: {SUBJECT} v1 (id {}): /amount: truncated at byte 3",
        fixture.id
    );
    assert!(text.starts_with(&place), "{text}");
    let message = response.error_message.as_deref().unwrap_or_default();
    assert!(message.contains(&place), "{message}");

    let violations = fixture.violations()?;
    let entry = violations.first().context("no violation in the feed")?;
    assert_eq!(entry["message"], *text);
    assert_eq!(
        (&entry["partition"], &entry["index"]),
        (&0.into(), &1.into())
    );
    assert_eq!(entry["client_id"], CLIENT_ID);
    let log = fixture.node.log()?;
    let line = log.lines().find(|line| line.contains(text));
    let line = line.context("no log line with the violation")?;
    for part in [TOPIC, CLIENT_ID, "truncated", "index=1"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let metrics = reqwest::blocking::get(format!("{}/metrics", fixture.node.url()))?.text()?;
    let counted = metrics.lines().any(|line| {
        line.starts_with("avouch_contract_violations_total{")
            && line.contains(r#"reason="truncated""#)
            // One record of the batch is invalid.
            && line.ends_with(" 1")
    });
    assert!(counted, "{metrics}");
    Ok(())
}

// Conformance: main-job/8b
#[test]
fn malformed_values_are_rejected_with_reason() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let other = register(&fixture.node.url(), "orders-value", r#""string""#)?;
    let datum = b"\x04p1\x0e".as_slice();
    // A frequent mistake: the value is a complete Avro file.
    let container = [b"Obj\x01".as_slice(), datum].concat();
    let cases = [
        ("zero length", vec![], "short"),
        ("four bytes", vec![0, 0, 0, 0], "short"),
        ("exactly five bytes", framed(fixture.id, b""), "truncated"),
        (
            "one trailing byte",
            framed(fixture.id, &[datum, b"\0"].concat()),
            "trailing-bytes",
        ),
        (
            "two data end to end",
            framed(fixture.id, &[datum, datum].concat()),
            "trailing-bytes",
        ),
        ("object container file", container, "no-magic"),
        ("JSON text", b"{\"id\": \"p1\"}".to_vec(), "no-magic"),
        ("unknown id", framed(99_999, datum), "unknown-id"),
        (
            "id of another subject",
            framed(other, b"\x04p1"),
            "wrong-subject",
        ),
        (
            "string that is not UTF-8",
            framed(fixture.id, b"\x04\xff\xfe\x0e"),
            "bad-utf8",
        ),
        (
            "long of eleven bytes",
            framed(fixture.id, &[[0x80; 13], [0; 13]].concat()),
            "bad-varint",
        ),
    ];
    for (name, value, reason) in cases {
        let (indexes, found) = fixture.rejected(&[Some(&value)])?;
        assert_eq!(
            (indexes.as_slice(), found.as_str()),
            ([0].as_slice(), reason),
            "{name}"
        );
    }
    assert_eq!(fixture.connection.high_watermark(TOPIC, 0)?, 0);
    Ok(())
}

// Conformance: broker/input-11, main-job/8b
#[test]
fn recursive_and_huge_data_are_rejected() -> Result<()> {
    let list = r#"{"type": "record", "name": "List", "fields": [
        {"name": "next", "type": ["null", "List"]}]}"#;
    let mut fixture = Fixture::with_schema(list)?;
    // Each byte 2 selects the branch `List`: 1,400 levels, 1,000 are accepted.
    let nested = framed(fixture.id, &[2; 1_400]);
    assert_eq!(
        fixture.rejected(&[Some(&nested)])?,
        (vec![0], "too-deep".to_owned())
    );

    let mut fixture = Fixture::with_schema(r#"{"type": "array", "items": "null"}"#)?;
    // A block of 2^62 nulls, which have no bytes, and the end of the array.
    let nulls = framed(fixture.id, b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\0");
    assert_eq!(
        fixture.rejected(&[Some(&nulls)])?,
        (vec![0], "too-complex".to_owned())
    );
    Ok(())
}

// Conformance: main-job/8a
#[test]
fn invalid_partition_does_not_affect_others() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let (valid, truncated) = (fixture.valid(), fixture.truncated());
    // One request with three partitions.
    let batches = [
        (0, vec![(None, Some(valid.as_slice()))]),
        (1, vec![(None, Some(truncated.as_slice()))]),
        (2, vec![(None, Some(valid.as_slice()))]),
    ];
    let responses = fixture.connection.produce(TOPIC, &batches)?;
    let codes = responses.iter().map(|at| (at.index, at.error_code));
    let mut codes: Vec<_> = codes.collect();
    codes.sort_unstable();
    assert_eq!(codes, [(0, 0), (1, INVALID_RECORD), (2, 0)]);
    for (partition, end) in [(0, 1), (1, 0), (2, 1)] {
        assert_eq!(fixture.connection.high_watermark(TOPIC, partition)?, end);
    }
    Ok(())
}

// Conformance: main-job/8c
#[test]
fn keys_are_not_validated_by_default() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let valid = fixture.valid();
    let records = vec![(Some(b"any bytes".as_slice()), Some(valid.as_slice()))];
    let responses = fixture.connection.produce(TOPIC, &[(0, records)])?;
    assert_eq!(
        responses.first().map(|response| response.error_code),
        Some(0),
        "{responses:?}"
    );
    Ok(())
}

// Conformance: main-job/8a
#[test]
fn compressed_batches_are_validated() -> Result<()> {
    let fixture = Fixture::new()?;
    let broker = fixture.node.bootstrap();
    let codecs = CODECS.join(",");
    // Long enough that the client sends the compressed form.
    let long = framed(
        fixture.id,
        &[b"\x80\x02".as_slice(), &[b'a'; 128], b"\x0e"].concat(),
    );
    let (valid, bad) = (hex(&long), hex(&long[..long.len() - 1]));
    let mixed = format!("{valid},{bad}");
    let send = |values: &str| {
        let args = [
            "--codecs",
            &codecs,
            "--values-hex",
            values,
            "--partition",
            "0",
        ];
        Family::Java.run(broker, "produce", TOPIC, &args)
    };
    let rejected = send(&mixed)?;
    assert_eq!(acked(&rejected), [], "{rejected:?}");
    let named = rejected.iter().filter(|event| match event {
        Event::Failed {
            text: Some(text), ..
        } => text.contains("/amount: truncated"),
        _ => false,
    });
    assert_eq!(named.count(), CODECS.len(), "{rejected:?}");
    assert_eq!(acked(&send(&valid)?).len(), CODECS.len());
    let mut connection = Connection::open(broker)?;
    let batches = connection.batches(TOPIC, 0)?;
    let stored: Vec<_> = batches
        .iter()
        .map(|batch| batch.compression as usize)
        .collect();
    // The order of CODECS is that of the codec numbers in the batch attributes.
    assert_eq!(stored, (0..CODECS.len()).collect::<Vec<_>>());
    Ok(())
}

// Conformance: main-job/8b
#[test]
fn soft_deleted_version_is_accepted() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let wider = PAYMENT.replace(
        "]}",
        r#", {"name": "note", "type": "string", "default": ""}]}"#,
    );
    let second = register(&fixture.node.url(), SUBJECT, &wider)?;
    // Producers still use a version after it is deleted softly.
    let path = format!("/subjects/{SUBJECT}/versions/2");
    let (status, body) = request(&fixture.node.url(), Method::DELETE, &path, None)?;
    assert_eq!(status, 200, "{body}");
    let value = framed(second, b"\x04p1\x0e\x02n");
    fixture.accepted(&[Some(&value)])
}

// Conformance: main-job/8b
#[test]
fn new_schema_id_is_accepted_immediately() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let wider = PAYMENT.replace(
        "]}",
        r#", {"name": "note", "type": "string", "default": ""}]}"#,
    );
    // The broker must not cache that the id is unknown.
    let next = framed(fixture.id + 1, b"\x04p1\x0e\x02n");
    assert_eq!(
        fixture.rejected(&[Some(&next)])?,
        (vec![0], "unknown-id".to_owned())
    );
    assert_eq!(
        register(&fixture.node.url(), SUBJECT, &wider)?,
        fixture.id + 1
    );
    fixture.accepted(&[Some(&next)])
}

// Conformance: main-job/8c
#[test]
fn contract_survives_subject_deletion() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let (valid, truncated) = (fixture.valid(), fixture.truncated());
    fixture.accepted(&[Some(&valid)])?;
    let path = format!("/subjects/{SUBJECT}");
    let (status, body) = request(&fixture.node.url(), Method::DELETE, &path, None)?;
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        fixture.rejected(&[Some(&truncated)])?,
        (vec![0], "truncated".to_owned())
    );

    // After a restart the decision must not depend on the deleted subject.
    fixture.node.terminate()?;
    fixture.node.restart()?;
    fixture.connection = Connection::open(fixture.node.bootstrap())?;
    assert_eq!(
        fixture.rejected(&[Some(&truncated)])?,
        (vec![0], "truncated".to_owned())
    );
    Ok(())
}

// Conformance: main-job/8c
#[test]
fn nonempty_topic_gets_shadow_mode() -> Result<()> {
    let node = Node::start()?;
    let mut connection = Connection::open(node.bootstrap())?;
    connection.create_topic(TOPIC, 1, &[])?;
    let unchecked = connection.produce_values(TOPIC, &[Some(b"no schema yet")])?;
    assert_eq!(unchecked.error_code, 0);
    register(&node.url(), SUBJECT, PAYMENT)?;
    let shadowed = connection.produce_values(TOPIC, &[Some(b"still no schema")])?;
    assert_eq!((shadowed.error_code, shadowed.base_offset), (0, 1));
    let path = format!("/v1/contracts/violations?topic={TOPIC}");
    let feed = get(&node.url(), &path)?.1;
    assert_eq!(feed["violations"][0]["mode"], "shadow", "{feed}");
    Ok(())
}

// Conformance: contract/6d, main-job/8c
#[test]
fn retry_and_dead_letter_topics_skip_validation() -> Result<()> {
    let node = Node::start()?;
    let mut connection = Connection::open(node.bootstrap())?;
    let names = [
        // Names by Spring, Kafka Connect and Kafka Streams.
        "payments-dlt",
        "payments-retry-0",
        "payments.DLT",
        "dlq.payments",
        "app-changelog",
    ];
    for topic in names {
        register(&node.url(), &format!("{topic}-value"), PAYMENT)?;
        connection.create_topic(topic, 1, &[])?;
        let response = connection.produce_values(topic, &[Some(b"invalid")])?;
        assert_eq!(response.error_code, 0, "{topic}: {response:?}");
    }
    Ok(())
}

// Conformance: contract/6d
#[test]
fn kafka_streams_works_with_validated_topics() -> Result<()> {
    let node = Node::start()?;
    let orders = register(&node.url(), "orders-value", r#""string""#)?;
    let counts = register(&node.url(), "counts-value", r#""long""#)?;
    // Streams writes its own format to internal topics, even if subjects exist for them.
    let internal = ["app-by-customer-repartition", "app-counts-changelog"];
    for topic in internal {
        register(&node.url(), &format!("{topic}-value"), r#""string""#)?;
    }
    let mut connection = Connection::open(node.bootstrap())?;
    connection.create_topic("orders", 1, &[])?;
    connection.create_topic("counts", 1, &[])?;
    let (orders, counts) = (orders.to_string(), counts.to_string());
    let output = stdout_of(
        java()
            .args(["streams", "--bootstrap", node.bootstrap()])
            .args(["--orders-id", &orders, "--counts-id", &counts]),
    )?;
    for line in ["dead letter at 0", "c0 4", "c1 4", "c2 4", "c3 4", "c4 4"] {
        assert!(
            output.lines().any(|found| found == line),
            "{line} in {output}"
        );
    }
    for topic in internal {
        assert!(connection.high_watermark(topic, 0)? > 0, "{topic}");
    }
    let metadata = connection.metadata()?;
    let mut names = metadata.topics.iter().flat_map(|topic| &topic.name);
    assert!(names.any(|name| name.starts_with("app-") && name.contains("closed")));
    let (_, feed) = get(&node.url(), "/v1/contracts/violations")?;
    assert_eq!(
        feed["violations"].as_array().map(Vec::len),
        Some(0),
        "{feed}"
    );

    // The input and the output topic are validated.
    for topic in ["orders", "counts"] {
        let response = connection.produce_values(topic, &[Some(b"invalid")])?;
        assert_eq!(response.error_code, INVALID_RECORD, "{topic}");
    }
    Ok(())
}

// Conformance: broker/produce-9, main-job/8d, broker/rejection-4
#[test]
fn idempotent_producer_loses_only_invalid_batch() -> Result<()> {
    let fixture = Fixture::new()?;
    let broker = fixture.node.bootstrap();
    // Long enough that each record exceeds Java's minimum batch size and is sent separately.
    let value = |n: u8| {
        let id = [b'0' + n; 128];
        framed(
            fixture.id,
            &[b"\x80\x02".as_slice(), &id, &[2 * n]].concat(),
        )
    };
    let bad = value(2)[..value(2).len() - 1].to_vec();
    let values = [value(1), bad, value(3), value(4), value(5)].map(|value| hex(&value));
    let all = values.join(",");
    let args = [
        "--values-hex",
        &all,
        "--partition",
        "0",
        "--batch-size",
        "1",
        "--idempotent",
    ];
    let java = Family::Java.run(broker, "produce", TOPIC, &args)?;

    let (producer, deliveries) = rust_client::producer(
        rust_client::config(broker)
            .set("enable.idempotence", "true")
            // One record per batch, so that one batch is rejected and the others follow it.
            .set("batch.num.messages", "1")
            .set("linger.ms", "0"),
    )?;
    for value in &values {
        rust_client::send(&producer, (TOPIC, Some(1)), value, &unhex(value)?)?;
    }
    rdkafka::producer::Producer::flush(&producer, Duration::from_secs(60))?;
    let rust = deliveries.events().clone();

    for (partition, events) in [(0, java), (1, rust)] {
        let mut stored = acked(&events);
        stored.sort();
        let stored: Vec<_> = stored.into_iter().map(|record| record.value).collect();
        let valid: Vec<_> = values
            .iter()
            .filter(|value| **value != values[1])
            .cloned()
            .collect();
        assert_eq!(stored, valid, "{events:?}");
        // The sequence numbers after the rejected batch must not be skipped, or all later batches
        // fail.
        let bad = events.iter().any(|event| {
            matches!(event, Event::Failed { value, code: Some(87), .. } if *value == values[1])
        });
        assert!(bad, "{events:?}");
        let mut connection = Connection::open(broker)?;
        assert_eq!(connection.high_watermark(TOPIC, partition)?, 4);
    }
    Ok(())
}

// Conformance: main-job/8d
#[test]
fn violation_with_acks_0_closes_connection() -> Result<()> {
    let mut fixture = Fixture::new()?;
    let truncated = fixture.truncated();
    let records = vec![(None, Some(truncated.as_slice()))];
    let request = produce_request(TOPIC, 0, &[(0, records)])?;
    // A request with acks 0 has no response that could contain the error.
    fixture.connection.send(10, &request)?;
    assert!(fixture.connection.is_closed_by_broker()?);
    fixture.connection = Connection::open(fixture.node.bootstrap())?;
    assert_eq!(fixture.connection.high_watermark(TOPIC, 0)?, 0);
    eventually("the report", || {
        Ok((fixture.violations()?.len() == 1).then_some(()))
    })
}

// Conformance: main-job/8d
#[test]
fn contradictory_contract_configs_are_rejected() -> Result<()> {
    let node = Node::start()?;
    let mut connection = Connection::open(node.bootstrap())?;
    let cases: [&[(&str, &str)]; 4] = [
        &[
            ("avouch.value.validation", "none"),
            ("confluent.value.schema.validation", "true"),
        ],
        &[
            ("redpanda.value.schema.id.validation", "false"),
            ("confluent.value.schema.validation", "true"),
        ],
        &[("avouch.value.validation", "sometimes")],
        // A misspelled name must not disable validation silently.
        &[("avouch.value.validaton", "payload")],
    ];
    for configs in cases {
        let response = connection.create_topic("contradiction", 1, configs)?;
        let code = response.error_code;
        assert_eq!(code, INVALID_CONFIG, "{configs:?}: {response:?}");
        let message = response.error_message.as_deref().unwrap_or_default();
        let named = configs.iter().any(|(name, _)| message.contains(name));
        assert!(named, "{configs:?}: {message}");
    }
    assert!(connection.metadata()?.topics.is_empty());
    Ok(())
}

fn framed(id: u32, datum: &[u8]) -> Vec<u8> {
    [[0].as_slice(), &id.to_be_bytes(), datum].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let digits = |at: usize| text.get(at..at + 2).context("odd number of digits");
    let byte = |at| Ok(u8::from_str_radix(digits(at)?, 16)?);
    (0..text.len()).step_by(2).map(byte).collect()
}
