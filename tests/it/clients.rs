//! All client families with all compression codecs, with and without idempotence, with and without
//! a group. The records read are compared with the acknowledgements and with the stored batches.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use avouch_tests::family::{CODECS, FAMILIES, Family, Produce, values};
use avouch_tests::matrix::record_feature;
use avouch_tests::node::Node;
use avouch_tests::program::{Event, Record, acked, records};
use avouch_tests::protocol::Connection;
use kafka_protocol::records::NO_PRODUCER_ID;

// Conformance: main-job/4
#[test]
fn kcat_round_trips_all_codecs() -> Result<()> {
    round_trips_all_codecs(Family::Kcat)
}

// Conformance: main-job/4
#[test]
fn confluent_kafka_round_trips_all_codecs() -> Result<()> {
    round_trips_all_codecs(Family::Python)
}

// Conformance: broker/clients-1
#[test]
fn aiokafka_round_trips_all_codecs() -> Result<()> {
    round_trips_all_codecs(Family::Aiokafka)
}

// Conformance: main-job/4
#[test]
fn kafkajs_round_trips_all_codecs() -> Result<()> {
    round_trips_all_codecs(Family::Node)
}

// Conformance: main-job/4
#[test]
fn java_round_trips_all_codecs() -> Result<()> {
    round_trips_all_codecs(Family::Java)
}

// Conformance: main-job/4
#[test]
fn rdkafka_round_trips_all_codecs() -> Result<()> {
    round_trips_all_codecs(Family::Rust)
}

// Conformance: broker/clients-1
#[test]
fn krafka_round_trips_all_codecs() -> Result<()> {
    round_trips_all_codecs(Family::Krafka)
}

// Conformance: main-job/4
#[test]
fn families_read_records_of_all_families() -> Result<()> {
    let node = Node::start()?;
    let (broker, topic) = (node.bootstrap(), "shared");
    let mut expected = BTreeSet::new();
    for family in FAMILIES {
        let prefix = format!("{family:?}");
        let what = Produce {
            topic,
            // One partition, so that the order of records is the same for all readers.
            partition: Some(0),
            codecs: &CODECS,
            idempotent: false,
            count: 10,
            prefix: &prefix,
        };
        no_failure(&family.produce(broker, &what)?)?;
        expected.extend(CODECS.iter().flat_map(|codec| values(&what, codec)));
    }

    let mut readings = Vec::new();
    for family in FAMILIES {
        let read = without_keys(&records(&family.consume(broker, topic)?));
        assert_eq!(value_set(&read), expected, "{family:?}");
        assert_eq!(read.len(), expected.len(), "{family:?}");
        // Offsets and order are compared too, not only the values.
        readings.push(read);
    }
    for (family, reading) in FAMILIES.iter().zip(&readings) {
        assert_eq!(Some(reading), readings.first(), "{family:?}");
        record_feature(*family, "reads records of all other clients")?;
    }
    Ok(())
}

fn round_trips_all_codecs(family: Family) -> Result<()> {
    const COUNT: usize = 20;
    let node = Node::start()?;
    let (broker, topic) = (node.bootstrap(), format!("codecs-{family:?}"));
    let mut sent = BTreeSet::new();
    let mut acknowledged = Vec::new();
    for idempotent in [false, true] {
        let what = Produce {
            topic: &topic,
            partition: None,
            codecs: &CODECS,
            idempotent,
            count: COUNT,
            prefix: if idempotent { "idempotent" } else { "plain" },
        };
        let events = family.produce(broker, &what)?;
        no_failure(&events)?;
        acknowledged.extend(acked(&events));
        sent.extend(CODECS.iter().flat_map(|codec| values(&what, codec)));
    }
    // kcat prints no acknowledgements; its exit status was checked.
    if family != Family::Kcat {
        assert_eq!(value_set(&acknowledged), sent);
    }
    acknowledged.sort();

    let alone = without_keys(&records(&family.consume(broker, &topic)?));
    // The topic is auto-created with one partition, so the group reads in the same order.
    let group = family.group(broker, &topic, &format!("all of {family:?}"), sent.len())?;
    let group = without_keys(&records(&group));
    assert_eq!(value_set(&alone), sent);
    assert_eq!(alone.len(), sent.len());
    assert_eq!(group, alone);
    if family != Family::Kcat {
        assert_eq!(alone, acknowledged);
    }

    // The stored batches have the requested codec, and a producer id if idempotence was enabled.
    let mut stored = BTreeMap::new();
    for batch in Connection::open(broker)?.batches(&topic, 0)? {
        let idempotent = batch.producer_id != NO_PRODUCER_ID;
        *stored
            .entry((batch.compression as u8, idempotent))
            .or_insert(0) += batch.record_count;
    }
    let codes = 0..u8::try_from(CODECS.len())?;
    let each = i32::try_from(COUNT)?;
    let expected: BTreeMap<_, _> = codes
        .flat_map(|code| [((code, false), each), ((code, true), each)])
        .collect();
    assert_eq!(stored, expected);
    for feature in [
        "produces with none, gzip, snappy, lz4, zstd",
        "produces with idempotence",
        "consumes without a group",
        "consumes in a group and commits offsets",
    ] {
        record_feature(family, feature)?;
    }
    Ok(())
}

fn no_failure(events: &[Event]) -> Result<()> {
    for event in events {
        ensure!(!matches!(event, Event::Failed { .. }), "{event:?}");
    }
    Ok(())
}

/// Returns the records without keys, sorted by partition and offset; kcat prints a null key and an
/// empty key alike.
fn without_keys(records: &[Record]) -> Vec<Record> {
    let mut records: Vec<_> = records
        .iter()
        .cloned()
        .map(|record| Record {
            key: None,
            ..record
        })
        .collect();
    records.sort();
    records
}

fn value_set(records: &[Record]) -> BTreeSet<String> {
    records.iter().map(|record| record.value.clone()).collect()
}
