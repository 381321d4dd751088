//! Every family of clients with every codec, idempotent and not, alone and in a group. What a
//! family read is compared with what it was told when it wrote, and with what is stored.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use avouch_tests::family::{CODECS, FAMILIES, Family, Produce, values};
use avouch_tests::matrix::shown;
use avouch_tests::node::Node;
use avouch_tests::program::{Event, Record, acked, records};
use avouch_tests::protocol::Connection;
use kafka_protocol::records::NO_PRODUCER_ID;

// Conformance: main-job/4
#[test]
fn kcat_writes_and_reads_every_codec_alone_and_in_a_group() -> Result<()> {
    writes_and_reads_every_codec(Family::Kcat)
}

// Conformance: main-job/4
#[test]
fn confluent_kafka_writes_and_reads_every_codec_alone_and_in_a_group() -> Result<()> {
    writes_and_reads_every_codec(Family::Python)
}

// Conformance: broker/clients-1
#[test]
fn aiokafka_writes_and_reads_every_codec_alone_and_in_a_group() -> Result<()> {
    writes_and_reads_every_codec(Family::Aiokafka)
}

// Conformance: main-job/4
#[test]
fn kafkajs_writes_and_reads_every_codec_alone_and_in_a_group() -> Result<()> {
    writes_and_reads_every_codec(Family::Node)
}

// Conformance: main-job/4
#[test]
fn java_writes_and_reads_every_codec_alone_and_in_a_group() -> Result<()> {
    writes_and_reads_every_codec(Family::Java)
}

// Conformance: main-job/4
#[test]
fn rdkafka_writes_and_reads_every_codec_alone_and_in_a_group() -> Result<()> {
    writes_and_reads_every_codec(Family::Rust)
}

// Conformance: broker/clients-1
#[test]
fn krafka_writes_and_reads_every_codec_alone_and_in_a_group() -> Result<()> {
    writes_and_reads_every_codec(Family::Krafka)
}

// Conformance: main-job/4
#[test]
fn every_family_reads_what_all_families_wrote() -> Result<()> {
    let node = Node::start()?;
    let (broker, topic) = (node.bootstrap(), "shared");
    let mut expected = BTreeSet::new();
    for family in FAMILIES {
        let prefix = format!("{family:?}");
        let what = Produce {
            topic,
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
        readings.push(read);
    }
    for (family, reading) in FAMILIES.iter().zip(&readings) {
        assert_eq!(Some(reading), readings.first(), "{family:?}");
        shown(*family, "reads what every other client wrote")?;
    }
    Ok(())
}

fn writes_and_reads_every_codec(family: Family) -> Result<()> {
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
    // kcat's exit status is its only word.
    if family != Family::Kcat {
        assert_eq!(value_set(&acknowledged), sent);
    }
    acknowledged.sort();

    let alone = without_keys(&records(&family.consume(broker, &topic)?));
    let group = family.group(broker, &topic, &format!("all of {family:?}"), sent.len())?;
    let group = without_keys(&records(&group));
    assert_eq!(value_set(&alone), sent);
    assert_eq!(alone.len(), sent.len());
    assert_eq!(group, alone);
    if family != Family::Kcat {
        assert_eq!(alone, acknowledged);
    }

    // The log holds what was sent: compressed as asked, with a producer id where asked.
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
        "writes none, gzip, snappy, lz4, zstd",
        "writes idempotently",
        "reads alone",
        "reads in a group and commits",
    ] {
        shown(family, feature)?;
    }
    Ok(())
}

fn no_failure(events: &[Event]) -> Result<()> {
    for event in events {
        ensure!(!matches!(event, Event::Failed { .. }), "{event:?}");
    }
    Ok(())
}

/// In order of partition and offset; kcat cannot tell an empty key from none.
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
