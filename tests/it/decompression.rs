//! Limits of the decompressed size of batches and records, with librdkafka.

use anyhow::{Result, ensure};
use avouch_tests::deadline::PROGRAM_LIMIT;
use avouch_tests::node::Node;
use avouch_tests::program::Event;
use avouch_tests::protocol::Connection;
use avouch_tests::rust_client::{config, producer, send};
use rdkafka::producer::Producer as _;

const MESSAGE_TOO_LARGE: i64 = 10;
const INVALID_RECORD: i64 = 87;

// Conformance: broker/input-8
#[test]
fn librdkafka_receives_decompression_errors() -> Result<()> {
    let node = Node::start()?;
    let mut connection = Connection::open(node.bootstrap())?;
    for (topic, config) in [
        ("batches", "avouch.max.batch.decompressed.bytes"),
        ("records", "max.decompressed.message.bytes"),
    ] {
        let created = connection.create_topic(topic, 1, &[(config, "2000")])?;
        ensure!(created.error_code == 0, "{created:?}");
    }
    let zeros = vec![0; 2_001];
    for (topic, codec, code) in [
        ("batches", "zstd", Some(MESSAGE_TOO_LARGE)),
        ("batches", "none", None),
        ("records", "zstd", Some(INVALID_RECORD)),
        ("records", "none", None),
    ] {
        let mut settings = config(node.bootstrap());
        let (sender, deliveries) = producer(settings.set("compression.type", codec))?;
        send(&sender, (topic, Some(0)), "large", &zeros)?;
        sender.flush(PROGRAM_LIMIT)?;
        let events = deliveries.events();
        let found = match events.as_slice() {
            [Event::Failed { code, .. }] => *code,
            [Event::Acked { .. }] => None,
            other => anyhow::bail!("{other:?}"),
        };
        ensure!(found == code, "{topic} {codec}: {found:?}");
    }
    Ok(())
}
