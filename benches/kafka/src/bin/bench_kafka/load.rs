//! One load after the other on one broker: produce as fast as it takes records, and read them back.

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

use crate::cells::{Cell, Values};

pub(crate) const DRAIN_LIMIT: Duration = Duration::from_secs(60);
pub(crate) const WARM_UP: Duration = Duration::from_secs(1);

/// What a load came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Loaded {
    pub(crate) records_per_second: f64,
    /// CPU seconds of the broker for 10^9 bytes of values.
    pub(crate) cpu_seconds_per_gb: f64,
}

/// A topic with what a load put there.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) topic: String,
    pub(crate) records: u64,
    pub(crate) loaded: Loaded,
}

/// Produces with acks=all for `span`, after a second of warming up, to a topic of its own.
pub(crate) fn produce(peer: &Peer, cell: &Cell, topic: &str, span: Duration) -> Result<Filled> {
    let mut values = prepared(peer, cell, topic)?;
    let acked = Acked::default();
    let producer: ThreadedProducer<Acked> = config(peer.bootstrap())
        .set("acks", "all")
        .set("compression.type", cell.codec)
        .set("linger.ms", "5")
        .set("queue.buffering.max.kbytes", "65536")
        .create_with_context(acked.clone())?;
    let mut sent = 0;
    let mut send_for = |span: Duration| -> Result<()> {
        let end = now() + span;
        while now() < end {
            for _ in 0..64 {
                let record = BaseRecord::<(), [u8], _>::with_opaque_to(topic, ())
                    .partition(sent % cell.partitions)
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
    let loaded = loaded(
        acked.records() - before.0,
        acked.bytes() - before.1,
        peer.cpu_seconds()? - before.2,
        before.3.elapsed(),
    );
    producer.flush(DRAIN_LIMIT)?;
    Ok(Filled {
        topic: topic.to_owned(),
        records: acked.records(),
        loaded,
    })
}

/// Reads a topic of one partition from its beginning to its end.
pub(crate) fn consume(peer: &Peer, filled: &Filled) -> Result<Loaded> {
    let consumer = reader(peer)?;
    let deadline = Deadline::after(DRAIN_LIMIT);
    let (mut records, mut bytes) = (0, 0);
    // It is connected and has asked for nothing yet: what it fetches ahead counts.
    let (cpu, started) = (peer.cpu_seconds()?, now());
    consumer.assign(&beginning(&filled.topic, 1)?)?;
    while records < filled.records {
        ensure!(!deadline.left().is_zero(), "{records} records came");
        if let Some(message) = consumer.poll(Duration::from_secs(1)).transpose()? {
            records += 1;
            bytes += message.payload_len() as u64;
        }
    }
    let elapsed = started.elapsed();
    Ok(loaded(records, bytes, peer.cpu_seconds()? - cpu, elapsed))
}

fn loaded(records: u64, bytes: u64, cpu_seconds: f64, elapsed: Duration) -> Loaded {
    Loaded {
        records_per_second: records as f64 / elapsed.as_secs_f64(),
        cpu_seconds_per_gb: cpu_seconds / (bytes as f64 / 1e9),
    }
}

/// A consumer that is connected and reads nothing yet.
pub(crate) fn reader(peer: &Peer) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = config(peer.bootstrap())
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .create()?;
    consumer.fetch_metadata(None, DRAIN_LIMIT)?;
    Ok(consumer)
}

/// So many partitions, from their beginnings.
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
        "{topic} is not deleted: error {error_code}"
    );
    Ok(())
}

/// Makes the topic, under a contract where the cell asks for one and the broker knows what that
/// is, and the values to send there.
pub(crate) fn prepared(peer: &Peer, cell: &Cell, topic: &str) -> Result<Source> {
    let source = match cell.values {
        Values::Bytes(size) => Source::Made(Payload::new(size)),
        Values::Data(index) => {
            let set = &avouch_bench_report::data::sets()[index];
            let id = match peer.registry() {
                Some(url) => register(url, &format!("{topic}-value"), &set.schema)?,
                None => 1,
            };
            let framed = |datum: &&[u8]| [&[0], &id.to_be_bytes()[..], datum].concat();
            Source::Kept(set.records().iter().map(framed).collect(), 0)
        }
    };
    create(peer, topic, cell.partitions)?;
    Ok(source)
}

/// Values, made or taken in turn.
pub(crate) enum Source {
    Made(Payload),
    Kept(Vec<Vec<u8>>, usize),
}

impl Source {
    pub(crate) fn next_value(&mut self) -> &[u8] {
        match self {
            Self::Made(payload) => payload.next_value(),
            Self::Kept(values, next) => {
                *next = (*next + 1) % values.len();
                &values[*next]
            }
        }
    }
}

/// Counts what was acknowledged.
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
            panic!("a record was refused: {error}");
        });
        self.0.0.fetch_add(1, Ordering::Relaxed);
        self.0
            .1
            .fetch_add(message.payload_len() as u64, Ordering::Relaxed);
    }
}
