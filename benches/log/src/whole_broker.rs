//! Memory of a broker process (release binary) with 4,000 partitions, loaded with Produce requests.

use anyhow::Result;
use avouch_bench_contract::client::{Client, produce_request};
use avouch_bench_contract::node::Node;
use avouch_bench_report::log::Node as NodeResults;
use avouch_protocol::batch::Codec;
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::types::TimestampMs;
use bytes::Bytes;

use crate::process::memory_mib;
use crate::rounds::Scale;

/// Partitions per topic: the maximum.
const PARTITIONS: i32 = 1_000;
const TOPICS: usize = 4;
const RECORDS: usize = 16;
const RECORD_BYTES: usize = 1_000;
const BATCHES_EACH: usize = 8;

pub(crate) fn measured(scale: Scale) -> Result<NodeResults> {
    let node = Node::start()?;
    let mut client = Client::connect(&node.kafka)?;
    let batch = batch(node.ready_at, RECORDS);
    let bytes = batch.len();
    let mut requests = Vec::new();
    for topic in (0..TOPICS).map(|number| format!("many-{number}")) {
        client.create_topic(&topic, PARTITIONS, &[])?;
        for partition in 0..PARTITIONS {
            requests.push(produce_request((&topic, partition), batch.clone())?);
        }
    }
    let batches = (BATCHES_EACH * scale.round_bytes / Scale::FULL.round_bytes).max(2);
    client.produce(&requests, batches * requests.len())?;
    let (resident_mib, highest_mib) = memory_mib(node.pid())?;
    Ok(NodeResults {
        partitions: requests.len(),
        data_mb: (batches * requests.len() * bytes) as f64 / 1e6,
        resident_mib,
        highest_mib,
    })
}

/// Returns a batch of `records` records of 1,000 bytes.
pub(crate) fn batch(now: TimestampMs, records: usize) -> Bytes {
    let mut builder = BatchBuilder::new(Codec::None);
    let value = vec![0x5a; RECORD_BYTES];
    for _ in 0..records {
        builder.push(None, Some(&value), now, &[]);
    }
    builder.finish()
}
