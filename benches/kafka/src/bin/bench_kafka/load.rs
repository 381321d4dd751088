//! Throughput of one broker: produce at the highest rate, and consume the records.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use avouch_tests::deadline::{Deadline, now};
use avouch_tests::payload::Payload;
use avouch_tests::peer::Peer;
use avouch_tests::protocol::Connection;
use avouch_tests::registry::register;
use avouch_tests::rust_client::config;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::workloads::{Values, Workload};

pub(crate) const DRAIN_LIMIT: Duration = Duration::from_secs(60);
pub(crate) const WARM_UP: Duration = Duration::from_secs(1);

/// The result of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Throughput {
    pub(crate) records_per_second: f64,
    /// CPU seconds of the broker per 10^9 bytes of values.
    pub(crate) cpu_seconds_per_gb: f64,
}

/// A topic and the load that produced its records.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) topic: String,
    pub(crate) records: u64,
    pub(crate) throughput: Throughput,
}

/// Creates `topic` and produces with acks=all for `span`, after a warm-up of one second.
pub(crate) fn produce(
    peer: &Peer,
    workload: &Workload,
    topic: &str,
    span: Duration,
) -> Result<Filled> {
    let mut values = prepare(peer, workload, topic)?;
    let acked = Acked::default();
    let producer: ThreadedProducer<Acked> = config(peer.bootstrap())
        .set("acks", "all")
        .set("compression.type", workload.codec)
        .set("linger.ms", "5")
        .set("queue.buffering.max.kbytes", "65536")
        .create_with_context(acked.clone())?;
    let mut sent = 0;
    let mut send_for = |span: Duration| -> Result<()> {
        let end = now() + span;
        while now() < end {
            for _ in 0..64 {
                let record = BaseRecord::<(), [u8], _>::with_opaque_to(topic, ())
                    .partition(sent % workload.partitions)
                    .payload(values.next_value());
                match producer.send(record) {
                    Ok(()) => sent = sent.wrapping_add(1) & i32::MAX,
                    Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                        thread::sleep(Duration::from_millis(1));
                    }
                    Err((error, _)) => return Err(error.into()),
                }
            }
        }
        Ok(())
    };
    send_for(WARM_UP)?;
    let before = (acked.records(), acked.bytes(), peer.cpu_seconds()?, now());
    send_for(span)?;
    let throughput = throughput(
        acked.records() - before.0,
        acked.bytes() - before.1,
        peer.cpu_seconds()? - before.2,
        before.3.elapsed(),
    );
    producer.flush(DRAIN_LIMIT)?;
    Ok(Filled {
        topic: topic.to_owned(),
        records: acked.records(),
        throughput,
    })
}

/// Consumes all records of a topic with one partition.
pub(crate) fn consume(peer: &Peer, filled: &Filled) -> Result<Throughput> {
    let consumer = consumer(peer)?;
    let deadline = Deadline::after(DRAIN_LIMIT);
    let (mut records, mut bytes) = (0, 0);
    // The consumer is connected but has not fetched yet, so that its prefetching is measured too.
    let (cpu, started) = (peer.cpu_seconds()?, now());
    consumer.assign(&beginning(&filled.topic, 1)?)?;
    while records < filled.records {
        ensure!(!deadline.left().is_zero(), "only {records} records arrived");
        if let Some(message) = consumer.poll(Duration::from_secs(1)).transpose()? {
            records += 1;
            bytes += message.payload_len() as u64;
        }
    }
    let elapsed = started.elapsed();
    Ok(throughput(
        records,
        bytes,
        peer.cpu_seconds()? - cpu,
        elapsed,
    ))
}

fn throughput(records: u64, bytes: u64, cpu_seconds: f64, elapsed: Duration) -> Throughput {
    Throughput {
        records_per_second: records as f64 / elapsed.as_secs_f64(),
        cpu_seconds_per_gb: cpu_seconds / (bytes as f64 / 1e9),
    }
}

/// Returns a connected consumer without an assignment.
pub(crate) fn consumer(peer: &Peer) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = config(peer.bootstrap())
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .create()?;
    consumer.fetch_metadata(None, DRAIN_LIMIT)?;
    Ok(consumer)
}

/// Returns the first `count` partitions, each from offset 0.
pub(crate) fn beginning(topic: &str, count: i32) -> Result<TopicPartitionList> {
    let mut partitions = TopicPartitionList::new();
    for partition in 0..count {
        partitions.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    Ok(partitions)
}

pub(crate) fn create(peer: &Peer, topic: &str, partitions: i32) -> Result<()> {
    let created = Connection::open(peer.bootstrap())?.create_topic(topic, partitions, &[])?;
    ensure!(created.error_code == 0, "{created:?}");
    Ok(())
}

pub(crate) fn delete(peer: &Peer, topic: &str) -> Result<()> {
    let error_code = Connection::open(peer.bootstrap())?.delete_topic(topic)?;
    ensure!(
        error_code == 0,
        "deleting {topic} failed with error {error_code}"
    );
    Ok(())
}

/// Creates the topic and returns the values to produce. For Avouch, Avro schemas are registered, so
/// that the topic has a contract.
pub(crate) fn prepare(peer: &Peer, workload: &Workload, topic: &str) -> Result<Source> {
    let source = match workload.values {
        Values::Bytes(size) => Source::Generated(Payload::new(size)),
        Values::Data(index) => {
            let set = &avouch_bench_report::data::sets()[index];
            let id = match peer.registry() {
                Some(url) => register(url, &format!("{topic}-value"), &set.schema)?,
                // Apache Kafka does not read the id.
                None => 1,
            };
            let framed = |datum: &&[u8]| [&[0], &id.to_be_bytes()[..], datum].concat();
            Source::Stored(set.records().iter().map(framed).collect(), 0)
        }
    };
    create(peer, topic, workload.partitions)?;
    Ok(source)
}

/// Generated values, or stored values and the index of the last one.
pub(crate) enum Source {
    Generated(Payload),
    Stored(Vec<Vec<u8>>, usize),
}

impl Source {
    pub(crate) fn next_value(&mut self) -> &[u8] {
        match self {
            Self::Generated(payload) => payload.next_value(),
            Self::Stored(values, next) => {
                *next = (*next + 1) % values.len();
                &values[*next]
            }
        }
    }
}

/// Counts acknowledged records and their bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Acked(Arc<(AtomicU64, AtomicU64)>);

impl Acked {
    fn records(&self) -> u64 {
        self.0.0.load(Ordering::Relaxed)
    }

    fn bytes(&self) -> u64 {
        self.0.1.load(Ordering::Relaxed)
    }
}

impl ClientContext for Acked {}

impl ProducerContext for Acked {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let message = result.as_ref().unwrap_or_else(|(error, _)| {
            panic!("delivery failed: {error}");
        });
        self.0.0.fetch_add(1, Ordering::Relaxed);
        self.0
            .1
            .fetch_add(message.payload_len() as u64, Ordering::Relaxed);
    }
}
