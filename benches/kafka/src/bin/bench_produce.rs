//! Produces with acks=all through rdkafka for some seconds and prints one line: records per second
//! and the time from `send` to the delivery report.
//!
//! ```text
//! bench_produce BOOTSTRAP SIZE PARTITIONS SECONDS [CODEC]
//! ```
//!
//! Payloads are half random, so that they compress, and differ for each record. Nothing is
//! asserted.

use std::io::{Write as _, stdout};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use avouch_tests::deadline::now;
use avouch_tests::payload::Payload;
use avouch_tests::protocol::Connection;
use avouch_tests::rust_client::config;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

/// Time of producing before the measurement.
const WARM_UP: Duration = Duration::from_secs(2);
const DRAIN_LIMIT: Duration = Duration::from_secs(60);
/// Records in the queue of the client: enough to keep the broker busy, and few enough that queueing
/// does not dominate the measured time.
const QUEUED_MAX: &str = "20000";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, size, partitions, seconds, rest @ ..] = args.as_slice() else {
        anyhow::bail!("usage: bench_produce BOOTSTRAP SIZE PARTITIONS SECONDS [CODEC]");
    };
    let (size, partitions): (usize, i32) = (size.parse()?, partitions.parse()?);
    let codec = rest.first().map_or("none", String::as_str);
    let span = Duration::from_secs(seconds.parse()?);

    let topic = format!("load-{size}-{partitions}-{codec}-{}", std::process::id());
    let created = Connection::open(bootstrap)?.create_topic(&topic, partitions, &[])?;
    ensure!(created.error_code == 0, "{created:?}");
    let waits = Waits::default();
    let producer: ThreadedProducer<Waits> = config(bootstrap)
        .set("acks", "all")
        .set("compression.type", codec)
        .set("linger.ms", "5")
        .set("queue.buffering.max.messages", QUEUED_MAX)
        .create_with_context(waits.clone())?;
    let mut load = Load {
        producer,
        topic,
        partitions,
        payload: Payload::new(size),
        sent: 0,
    };

    load.run_for(WARM_UP)?;
    waits.take();
    let started = now();
    load.run_for(span)?;
    let elapsed = started.elapsed();
    let mut waits_us = waits.take();
    load.producer.flush(DRAIN_LIMIT)?;
    let summary = summary(&mut waits_us, size, elapsed)?;
    writeln!(
        stdout(),
        "{size} B, {partitions} partitions, {codec}: {summary}"
    )?;
    Ok(())
}

/// Time from send to delivery report of each record, in µs.
#[derive(Clone, Debug, Default)]
struct Waits(Arc<Mutex<Vec<u128>>>);

impl Waits {
    /// Removes and returns the times since the last call.
    fn take(&self) -> Vec<u128> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ClientContext for Waits {}

impl ProducerContext for Waits {
    type DeliveryOpaque = Box<Instant>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Instant>) {
        assert!(result.is_ok(), "delivery failed: {result:?}");
        let mut waits = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waits.push(sent.elapsed().as_micros());
    }
}

/// A producer and its topic.
struct Load {
    producer: ThreadedProducer<Waits>,
    topic: String,
    partitions: i32,
    payload: Payload,
    sent: i32,
}

impl Load {
    /// Sends records for `span` at the highest rate.
    fn run_for(&mut self, span: Duration) -> Result<()> {
        let end = now() + span;
        let mut full = false;
        while now() < end {
            if full {
                self.producer.poll(Duration::from_millis(1));
            }
            full = !self.send_one()?;
        }
        Ok(())
    }

    /// Sends one record. Returns false if the queue of the client is full.
    fn send_one(&mut self) -> Result<bool> {
        let record = BaseRecord::<(), [u8], _>::with_opaque_to(&self.topic, Box::new(now()))
            .partition(self.sent % self.partitions)
            .payload(self.payload.next_value());
        match self.producer.send(record) {
            Ok(()) => {
                self.sent = self.sent.wrapping_add(1) & i32::MAX;
                Ok(true)
            }
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Ok(false),
            Err((error, _)) => Err(error.into()),
        }
    }
}

fn summary(waits_us: &mut [u128], size: usize, elapsed: Duration) -> Result<String> {
    waits_us.sort_unstable();
    let count = waits_us.len();
    let at = |per_mille: usize| waits_us.get(count * per_mille / 1000).copied();
    let (p50, p99) = at(500).zip(at(990)).context("nothing was delivered")?;
    let rate = count * 1000 / usize::try_from(elapsed.as_millis())?.max(1);
    let megabytes = rate * size / 1_000_000;
    let ms = |us: u128| format!("{}.{} ms", us / 1000, us % 1000 / 100);
    Ok(format!(
        "{rate} records/s, {megabytes} MB/s, p50 {}, p99 {}",
        ms(p50),
        ms(p99)
    ))
}
