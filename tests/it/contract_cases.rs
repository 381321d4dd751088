//! Cases that other systems get wrong, through a socket: each with the exact answer, and what the
//! log holds afterwards.

use std::time::Duration;

use anyhow::{Context as _, Result};
use avouch_tests::deadline::eventually;
use avouch_tests::family::{CODECS, Family, java};
use avouch_tests::node::Node;
use avouch_tests::program::{Event, acked, printed};
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

/// Values of one batch, each of them null if `None`.
type Values<'a> = &'a [Option<&'a [u8]>];

/// A node with a schema for `payments-value`, and a raw connection to it.
struct World {
    node: Node,
    connection: Connection,
    /// The schema's id.
    id: u32,
}

impl World {
    fn new() -> Result<Self> {
        Self::with_schema(PAYMENT)
    }

    fn with_schema(schema: &str) -> Result<Self> {
        let node = Node::start()?;
        let id = register(&node.url(), SUBJECT, schema)?;
        let mut connection = Connection::open(node.bootstrap())?;
        connection.create_topic(TOPIC, 3, &[])?;
        Ok(Self {
            node,
            connection,
            id,
        })
    }

    /// `p1` and 7 as a payment.
    fn good(&self) -> Vec<u8> {
        framed(self.id, b"\x04p1\x0e")
    }

    /// The same without its last field.
    fn cut(&self) -> Vec<u8> {
        framed(self.id, b"\x04p1")
    }

    /// Produces one batch and expects that nothing of it is stored: which records were named, and
    /// the reason code of the first in the feed.
    fn refused(&mut self, values: Values<'_>) -> Result<(Vec<i32>, String)> {
        let before = self.connection.high_watermark(TOPIC, 0)?;
        let seen = self.violations()?.len();
        let answer = self.connection.produce_values(TOPIC, values)?;
        assert_eq!(answer.error_code, INVALID_RECORD, "{answer:?}");
        assert_eq!(answer.base_offset, -1);
        assert_eq!(self.connection.high_watermark(TOPIC, 0)?, before);
        let indexes = answer.record_errors.iter().map(|error| error.batch_index);
        let violations = self.violations()?;
        let first = violations.get(seen).context("a new entry in the feed")?;
        let reason = first["reason"].as_str().unwrap_or_default().to_owned();
        Ok((indexes.collect(), reason))
    }

    /// Produces one batch and expects that all of it is stored.
    fn accepted(&mut self, values: Values<'_>) -> Result<()> {
        let before = self.connection.high_watermark(TOPIC, 0)?;
        let answer = self.connection.produce_values(TOPIC, values)?;
        assert_eq!(
            (answer.error_code, answer.base_offset),
            (0, before),
            "{answer:?}"
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
fn one_bad_record_anywhere_in_a_batch_keeps_the_whole_batch_out() -> Result<()> {
    let mut world = World::new()?;
    let (good, cut) = (world.good(), world.cut());
    let (good, cut) = (Some(good.as_slice()), Some(cut.as_slice()));
    let cases: [(Values<'_>, &[i32]); 6] = [
        (&[cut, good], &[0]),
        (&[good, cut], &[1]),
        (&[good, cut, good, cut, good], &[1, 3]),
        (&[None, cut], &[1]),
        (&[cut, None], &[0]),
        (&[None, cut, None], &[1]),
    ];
    for (values, bad) in cases {
        let expected = (bad.to_vec(), "truncated".to_owned());
        assert_eq!(world.refused(values)?, expected);
    }
    world.accepted(&[good, None, good])
}

// Conformance: main-job/2b
#[test]
fn the_answer_names_record_version_field_and_byte_and_so_do_log_metric_and_feed() -> Result<()> {
    let mut world = World::new()?;
    let (good, cut) = (world.good(), world.cut());
    let answer = world
        .connection
        .produce_values(TOPIC, &[Some(&good), Some(&cut)])?;

    let [error] = answer.record_errors.as_slice() else {
        panic!("{answer:?}");
    };
    assert_eq!(error.batch_index, 1);
    let text = error
        .batch_index_error_message
        .as_deref()
        .unwrap_or_default();
    let place = format!(
        "value: {SUBJECT} v1 (id {}): /amount: truncated at byte 3",
        world.id
    );
    assert!(text.starts_with(&place), "{text}");
    let message = answer.error_message.as_deref().unwrap_or_default();
    assert!(message.contains(&place), "{message}");

    let violations = world.violations()?;
    let entry = violations.first().context("an entry in the feed")?;
    assert_eq!(entry["message"], *text);
    assert_eq!(
        (&entry["partition"], &entry["index"]),
        (&0.into(), &1.into())
    );
    assert_eq!(entry["client_id"], CLIENT_ID);
    let log = world.node.log()?;
    let line = log.lines().find(|line| line.contains(text));
    let line = line.context("a line of the log with the fault")?;
    for part in [TOPIC, CLIENT_ID, "truncated", "index=1"] {
        assert!(line.contains(part), "{part} in {line}");
    }
    let metrics = reqwest::blocking::get(format!("{}/metrics", world.node.url()))?.text()?;
    let counted = metrics.lines().any(|line| {
        line.starts_with("avouch_contract_violations_total{")
            && line.contains(r#"reason="truncated""#)
            && line.ends_with(" 1")
    });
    assert!(counted, "{metrics}");
    Ok(())
}

// Conformance: main-job/8b
#[test]
fn what_is_not_exactly_one_datum_of_the_topics_schema_is_refused() -> Result<()> {
    let mut world = World::new()?;
    let other = register(&world.node.url(), "orders-value", r#""string""#)?;
    let datum = b"\x04p1\x0e".as_slice();
    let container = [b"Obj\x01".as_slice(), datum].concat();
    let cases = [
        ("zero length", vec![], "short"),
        ("four bytes", vec![0, 0, 0, 0], "short"),
        ("exactly five bytes", framed(world.id, b""), "truncated"),
        (
            "one trailing byte",
            framed(world.id, &[datum, b"\0"].concat()),
            "trailing-bytes",
        ),
        (
            "two data end to end",
            framed(world.id, &[datum, datum].concat()),
            "trailing-bytes",
        ),
        ("an object container file", container, "no-magic"),
        ("text", b"{\"id\": \"p1\"}".to_vec(), "no-magic"),
        ("no such id", framed(99_999, datum), "unknown-id"),
        (
            "an id of another subject",
            framed(other, b"\x04p1"),
            "wrong-subject",
        ),
        (
            "a string that is no UTF-8",
            framed(world.id, b"\x04\xff\xfe\x0e"),
            "bad-utf8",
        ),
        (
            "a long of eleven bytes",
            framed(world.id, &[[0x80; 13], [0; 13]].concat()),
            "bad-varint",
        ),
    ];
    for (name, value, reason) in cases {
        let (bad, found) = world.refused(&[Some(&value)])?;
        assert_eq!(
            (bad.as_slice(), found.as_str()),
            ([0].as_slice(), reason),
            "{name}"
        );
    }
    assert_eq!(world.connection.high_watermark(TOPIC, 0)?, 0);
    Ok(())
}

// Conformance: broker/input-11, main-job/8b
#[test]
fn bombs_are_refused_before_they_go_off() -> Result<()> {
    let list = r#"{"type": "record", "name": "List", "fields": [
        {"name": "next", "type": ["null", "List"]}]}"#;
    let mut world = World::with_schema(list)?;
    let endless = framed(world.id, &[2; 400]);
    assert_eq!(
        world.refused(&[Some(&endless)])?,
        (vec![0], "too-deep".to_owned())
    );

    let mut world = World::with_schema(r#"{"type": "array", "items": "null"}"#)?;
    // A block of 2^62 nulls, which take no bytes, and the end of the array.
    let nulls = framed(world.id, b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\0");
    assert_eq!(
        world.refused(&[Some(&nulls)])?,
        (vec![0], "too-complex".to_owned())
    );
    Ok(())
}

// Conformance: main-job/8a
#[test]
fn a_bad_partition_does_not_hold_up_the_others_of_its_request() -> Result<()> {
    let mut world = World::new()?;
    let (good, cut) = (world.good(), world.cut());
    let batches = [
        (0, vec![(None, Some(good.as_slice()))]),
        (1, vec![(None, Some(cut.as_slice()))]),
        (2, vec![(None, Some(good.as_slice()))]),
    ];
    let answers = world.connection.produce(TOPIC, &batches)?;
    let mut codes: Vec<_> = answers.iter().map(|at| (at.index, at.error_code)).collect();
    codes.sort_unstable();
    assert_eq!(codes, [(0, 0), (1, INVALID_RECORD), (2, 0)]);
    for (partition, end) in [(0, 1), (1, 0), (2, 1)] {
        assert_eq!(world.connection.high_watermark(TOPIC, partition)?, end);
    }
    Ok(())
}

// Conformance: main-job/8c
#[test]
fn keys_are_no_part_of_the_contract_unless_asked_for() -> Result<()> {
    let mut world = World::new()?;
    let good = world.good();
    let records = vec![(Some(b"any bytes".as_slice()), Some(good.as_slice()))];
    let answers = world.connection.produce(TOPIC, &[(0, records)])?;
    assert_eq!(
        answers.first().map(|answer| answer.error_code),
        Some(0),
        "{answers:?}"
    );
    Ok(())
}

// Conformance: main-job/8a
#[test]
fn compression_hides_nothing() -> Result<()> {
    let world = World::new()?;
    let broker = world.node.bootstrap();
    let codecs = CODECS.join(",");
    // Long enough that the client keeps the compressed form.
    let long = framed(
        world.id,
        &[b"\x80\x02".as_slice(), &[b'a'; 128], b"\x0e"].concat(),
    );
    let (good, bad) = (hex(&long), hex(&long[..long.len() - 1]));
    let mixed = format!("{good},{bad}");
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
    let refused = send(&mixed)?;
    assert_eq!(acked(&refused), [], "{refused:?}");
    let named = refused.iter().filter(|event| match event {
        Event::Failed {
            text: Some(text), ..
        } => text.contains("/amount: truncated"),
        _ => false,
    });
    assert_eq!(named.count(), CODECS.len(), "{refused:?}");
    assert_eq!(acked(&send(&good)?).len(), CODECS.len());
    let mut connection = Connection::open(broker)?;
    let batches = connection.batches(TOPIC, 0)?;
    let stored: Vec<_> = batches
        .iter()
        .map(|batch| batch.compression as usize)
        .collect();
    assert_eq!(stored, (0..CODECS.len()).collect::<Vec<_>>());
    Ok(())
}

// Conformance: main-job/8b
#[test]
fn a_soft_deleted_version_still_passes() -> Result<()> {
    let mut world = World::new()?;
    let wider = PAYMENT.replace(
        "]}",
        r#", {"name": "note", "type": "string", "default": ""}]}"#,
    );
    let second = register(&world.node.url(), SUBJECT, &wider)?;
    let path = format!("/subjects/{SUBJECT}/versions/2");
    let (status, body) = request(&world.node.url(), Method::DELETE, &path, None)?;
    assert_eq!(status, 200, "{body}");
    let value = framed(second, b"\x04p1\x0e\x02n");
    world.accepted(&[Some(&value)])
}

// Conformance: main-job/8b
#[test]
fn an_id_counts_from_the_moment_of_its_registration() -> Result<()> {
    let mut world = World::new()?;
    let wider = PAYMENT.replace(
        "]}",
        r#", {"name": "note", "type": "string", "default": ""}]}"#,
    );
    let next = framed(world.id + 1, b"\x04p1\x0e\x02n");
    assert_eq!(
        world.refused(&[Some(&next)])?,
        (vec![0], "unknown-id".to_owned())
    );
    assert_eq!(register(&world.node.url(), SUBJECT, &wider)?, world.id + 1);
    world.accepted(&[Some(&next)])
}

// Conformance: main-job/8c
#[test]
fn the_contract_outlives_its_subject() -> Result<()> {
    let mut world = World::new()?;
    let (good, cut) = (world.good(), world.cut());
    world.accepted(&[Some(&good)])?;
    let path = format!("/subjects/{SUBJECT}");
    let (status, body) = request(&world.node.url(), Method::DELETE, &path, None)?;
    assert_eq!(status, 200, "{body}");
    assert_eq!(
        world.refused(&[Some(&cut)])?,
        (vec![0], "truncated".to_owned())
    );

    world.node.terminate()?;
    world.node.restart()?;
    world.connection = Connection::open(world.node.bootstrap())?;
    assert_eq!(
        world.refused(&[Some(&cut)])?,
        (vec![0], "truncated".to_owned())
    );
    Ok(())
}

// Conformance: main-job/8c
#[test]
fn a_topic_that_holds_records_already_is_only_watched() -> Result<()> {
    let node = Node::start()?;
    let mut connection = Connection::open(node.bootstrap())?;
    connection.create_topic(TOPIC, 1, &[])?;
    let free = connection.produce_values(TOPIC, &[Some(b"no schema yet")])?;
    assert_eq!(free.error_code, 0);
    register(&node.url(), SUBJECT, PAYMENT)?;
    let watched = connection.produce_values(TOPIC, &[Some(b"still no schema")])?;
    assert_eq!((watched.error_code, watched.base_offset), (0, 1));
    let path = format!("/v1/contracts/violations?topic={TOPIC}");
    let feed = get(&node.url(), &path)?.1;
    assert_eq!(feed["violations"][0]["mode"], "shadow", "{feed}");
    Ok(())
}

// Conformance: contract/6d, main-job/8c
#[test]
fn retry_and_dead_letter_topics_take_what_is_broken() -> Result<()> {
    let node = Node::start()?;
    let mut connection = Connection::open(node.bootstrap())?;
    let names = [
        "payments-dlt",
        "payments-retry-0",
        "payments.DLT",
        "dlq.payments",
        "app-changelog",
    ];
    for topic in names {
        register(&node.url(), &format!("{topic}-value"), PAYMENT)?;
        connection.create_topic(topic, 1, &[])?;
        let answer = connection.produce_values(topic, &[Some(b"broken")])?;
        assert_eq!(answer.error_code, 0, "{topic}: {answer:?}");
    }
    Ok(())
}

// Conformance: contract/6d
#[test]
fn a_kafka_streams_application_runs_over_topics_under_contract() -> Result<()> {
    let node = Node::start()?;
    let orders = register(&node.url(), "orders-value", r#""string""#)?;
    let counts = register(&node.url(), "counts-value", r#""long""#)?;
    // Even where somebody registers them, what Streams writes there is Streams' own.
    let internal = ["app-by-customer-repartition", "app-counts-changelog"];
    for topic in internal {
        register(&node.url(), &format!("{topic}-value"), r#""string""#)?;
    }
    let mut connection = Connection::open(node.bootstrap())?;
    connection.create_topic("orders", 1, &[])?;
    connection.create_topic("counts", 1, &[])?;
    let (orders, counts) = (orders.to_string(), counts.to_string());
    let told = printed(
        java()
            .args(["streams", "--bootstrap", node.bootstrap()])
            .args(["--orders-id", &orders, "--counts-id", &counts]),
    )?;
    for line in ["dead letter at 0", "c0 4", "c1 4", "c2 4", "c3 4", "c4 4"] {
        assert!(told.lines().any(|told| told == line), "{line} in {told}");
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

    // Both ends are under contract.
    for topic in ["orders", "counts"] {
        let answer = connection.produce_values(topic, &[Some(b"broken")])?;
        assert_eq!(answer.error_code, INVALID_RECORD, "{topic}");
    }
    Ok(())
}

// Conformance: broker/produce-9, main-job/8d
#[test]
fn an_idempotent_producer_with_five_batches_in_flight_loses_only_the_bad_one() -> Result<()> {
    let world = World::new()?;
    let broker = world.node.bootstrap();
    // Long enough that Java, whose smallest batch is not that small, sends each alone.
    let value = |n: u8| {
        let id = [b'0' + n; 128];
        framed(world.id, &[b"\x80\x02".as_slice(), &id, &[2 * n]].concat())
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
        let good: Vec<_> = values
            .iter()
            .filter(|value| **value != values[1])
            .cloned()
            .collect();
        assert_eq!(stored, good, "{events:?}");
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
fn a_violation_without_acks_closes_the_connection_and_is_reported() -> Result<()> {
    let mut world = World::new()?;
    let cut = world.cut();
    let records = vec![(None, Some(cut.as_slice()))];
    let request = produce_request(TOPIC, 0, &[(0, records)])?;
    world.connection.send(10, &request)?;
    assert!(world.connection.is_closed_by_the_broker()?);
    world.connection = Connection::open(world.node.bootstrap())?;
    assert_eq!(world.connection.high_watermark(TOPIC, 0)?, 0);
    eventually("the report", || {
        Ok((world.violations()?.len() == 1).then_some(()))
    })
}

// Conformance: main-job/8d
#[test]
fn contract_settings_that_contradict_each_other_make_no_topic() -> Result<()> {
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
        &[("avouch.value.validaton", "payload")],
    ];
    for configs in cases {
        let answer = connection.create_topic("contradiction", 1, configs)?;
        assert_eq!(answer.error_code, INVALID_CONFIG, "{configs:?}: {answer:?}");
        let message = answer.error_message.as_deref().unwrap_or_default();
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
    let digits = |at: usize| text.get(at..at + 2).context("two digits");
    let byte = |at| Ok(u8::from_str_radix(digits(at)?, 16)?);
    (0..text.len()).step_by(2).map(byte).collect()
}
