//! One load after the other on one broker: produce as fast as it takes records, read them back,
//! and the way of single records at a fixed rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use avouch_tests::deadline::{Deadline, now};
use avouch_tests::payload::Payload;
use avouch_tests::peer::Peer;
use avouch_tests::protocol::Connection;
use avouch_tests::registry::register;
use avouch_tests::rust_client::config;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::cells::{Cell, Values};

const DRAIN_LIMIT: Duration = Duration::from_secs(60);
const WARM_UP: Duration = Duration::from_secs(1);

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
    let consumer = reader(peer, &filled.topic)?;
    let deadline = Deadline::after(DRAIN_LIMIT);
    let (mut records, mut bytes) = (0, 0);
    let (cpu, started) = (peer.cpu_seconds()?, now());
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

/// p50 and p99 in µs from `send` to the consumer, at `rate` records a second of `size` bytes,
/// nothing gathered at the client.
pub(crate) fn latency(
    peer: &Peer,
    topic: &str,
    (rate, size): (f64, usize),
    span: Duration,
) -> Result<(f64, f64)> {
    create(peer, topic, 1)?;
    let started = now();
    let consumer = reader(peer, topic)?;
    let wanted = (rate * (WARM_UP + span).as_secs_f64()) as u64;
    let reading = thread::spawn(move || arrivals(&consumer, started, wanted));
    let producer: ThreadedProducer<Acked> = config(peer.bootstrap())
        .set("acks", "all")
        .set("linger.ms", "0")
        .create_with_context(Acked::default())?;
    let mut payload = vec![b'a'; size];
    let begun = now();
    for sent in 0..wanted {
        let due = Duration::from_secs_f64(sent as f64 / rate);
        // Records that are due within a millisecond leave together: a sleep is no finer.
        if let Some(ahead) = due.checked_sub(begun.elapsed()) {
            thread::sleep(ahead);
        }
        payload[..8].copy_from_slice(&nanos(started).to_be_bytes());
        let record = BaseRecord::<(), [u8], _>::with_opaque_to(topic, ()).payload(&payload);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(DRAIN_LIMIT)?;
    let mut waits = reading.join().ok().context("the reader panicked")??;
    let warm = (rate * WARM_UP.as_secs_f64()) as usize;
    waits.drain(..warm.min(waits.len()));
    waits.sort_unstable();
    let at = |per_mille: usize| waits.get(waits.len() * per_mille / 1_000);
    let (p50, p99) = at(500).zip(at(990)).context("nothing arrived")?;
    Ok((*p50 as f64 / 1e3, *p99 as f64 / 1e3))
}

/// How long each record was under way, in ns.
fn arrivals(consumer: &BaseConsumer, started: Instant, wanted: u64) -> Result<Vec<u64>> {
    let mut waits = Vec::new();
    let deadline = Deadline::after(DRAIN_LIMIT);
    while (waits.len() as u64) < wanted {
        ensure!(!deadline.left().is_zero(), "{} records came", waits.len());
        if let Some(message) = consumer.poll(Duration::from_secs(1)).transpose()? {
            let sent = message.payload().and_then(<[u8]>::first_chunk);
            let sent = u64::from_be_bytes(*sent.context("a record of ours")?);
            waits.push(nanos(started).saturating_sub(sent));
        }
    }
    Ok(waits)
}

fn nanos(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn loaded(records: u64, bytes: u64, cpu_seconds: f64, elapsed: Duration) -> Loaded {
    Loaded {
        records_per_second: records as f64 / elapsed.as_secs_f64(),
        cpu_seconds_per_gb: cpu_seconds / (bytes as f64 / 1e9),
    }
}

/// A consumer at the beginning of partition 0.
fn reader(peer: &Peer, topic: &str) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = config(peer.bootstrap())
        .set("group.id", "bench")
        .set("enable.auto.commit", "false")
        .create()?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&partitions)?;
    Ok(consumer)
}

fn create(peer: &Peer, topic: &str, partitions: i32) -> Result<()> {
    let created = Connection::open(peer.bootstrap())?.create_topic(topic, partitions, &[])?;
    ensure!(created.error_code == 0, "{created:?}");
    Ok(())
}

/// Makes the topic, under a contract where the cell asks for one and the broker knows what that
/// is, and the values to send there.
fn prepared(peer: &Peer, cell: &Cell, topic: &str) -> Result<Source> {
    let source = match cell.values {
        Values::Bytes(size) => Source::Made(Payload::new(size)),
        Values::Data(index) => {
            let set = &crate::data::sets()[index];
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
enum Source {
    Made(Payload),
    Kept(Vec<Vec<u8>>, usize),
}

impl Source {
    fn next_value(&mut self) -> &[u8] {
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
struct Acked(Arc<(AtomicU64, AtomicU64)>);

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
