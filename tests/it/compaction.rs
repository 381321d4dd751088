//! All client families read a compacted topic to its end: across removed offsets, and across an
//! empty batch that is retained because it is the last batch of its producer.

use anyhow::{Result, ensure};
use avouch_tests::deadline::{PROGRAM_LIMIT, eventually};
use avouch_tests::family::FAMILIES;
use avouch_tests::matrix::record_feature;
use avouch_tests::node::Node;
use avouch_tests::program::records;
use avouch_tests::protocol::Connection;
use avouch_tests::rust_client::config;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer};

const TOPIC: &str = "compacted";

// Conformance: broker/fetch-12
#[test]
fn families_read_compacted_topic_completely() -> Result<()> {
    let node = Node::start_with(&["--broker-config", "log.retention.check.interval.ms=50"])?;
    let broker = node.bootstrap();
    let mut raw = Connection::open(broker)?;
    // One batch per segment; all but the last segment are closed and therefore compacted.
    let configs = [
        ("cleanup.policy", "compact"),
        ("internal.segment.bytes", "100"),
        ("min.cleanable.dirty.ratio", "0"),
    ];
    let created = raw.create_topic(TOPIC, 1, &configs)?;
    ensure!(created.error_code == 0, "{created:?}");
    produce_one_by_one(broker, true, &[("a", "0"), ("a", "1")])?;
    let others = [("b", "2"), ("b", "3"), ("a", "4"), ("c", "5")];
    produce_one_by_one(broker, false, &others)?;

    // Offsets 0 and 2 are removed; the batch at 1 is retained for its sequence number, without
    // records.
    let expected = [0, 1, 1, 1];
    eventually("compaction", || {
        let counts: Vec<_> = raw
            .batches(TOPIC, 0)?
            .iter()
            .map(|batch| batch.record_count)
            .collect();
        Ok((counts == expected).then_some(()))
    })?;
    for family in FAMILIES {
        let read: Vec<_> = records(&family.consume(broker, TOPIC)?)
            .into_iter()
            .map(|record| (record.offset, record.value))
            .collect();
        let expected = [3, 4, 5].map(|offset| (offset, offset.to_string()));
        assert_eq!(read, expected, "{family:?}");
        record_feature(family, "reads a compacted topic across removed offsets")?;
    }
    Ok(())
}

/// Produces keyed records, one batch per record.
fn produce_one_by_one(broker: &str, idempotent: bool, records: &[(&str, &str)]) -> Result<()> {
    let producer: ThreadedProducer<DefaultProducerContext> = config(broker)
        .set("enable.idempotence", idempotent.to_string())
        .create()?;
    for (key, value) in records {
        let record = BaseRecord::to(TOPIC).partition(0).key(*key).payload(*value);
        producer.send(record).map_err(|(error, _)| error)?;
        producer.flush(PROGRAM_LIMIT)?;
    }
    Ok(())
}
