//! Measures the time from the ack at the producer until a consumer at default settings receives the
//! record. One record is sent at a time, so that each ends a waiting fetch. Prints one line.
//!
//! ```text
//! bench_fetch_latency BOOTSTRAP RECORDS
//! ```
//!
//! If a record reaches the consumer before its ack reaches the producer, the time is 0.

use std::io::{Write as _, stdout};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use avouch_tests::deadline::now;
use avouch_tests::protocol::Connection;
use avouch_tests::rust_client::config;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::Offset;

/// Maximum time for one record.
const RECORD_LIMIT: Duration = Duration::from_secs(30);
/// Number of records that are sent before the measured ones.
const WARM_UP: usize = 100;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, records] = args.as_slice() else {
        anyhow::bail!("usage: bench_fetch_latency BOOTSTRAP RECORDS");
    };
    let records: usize = records.parse()?;
    let topic = format!("fetch-latency-{}", std::process::id());
    let created = Connection::open(bootstrap)?.create_topic(&topic, 1, &[])?;
    ensure!(created.error_code == 0, "{created:?}");

    let (acked, acks) = channel();
    let (arrived, arrivals) = channel();
    let producer: ThreadedProducer<Acks> = config(bootstrap)
        .set("acks", "all")
        .set("linger.ms", "0")
        .create_with_context(Acks(acked))?;
    consume(bootstrap, &topic, arrived)?;

    let mut waits_us = Vec::with_capacity(records);
    for _ in 0..WARM_UP + records {
        let record = BaseRecord::<(), [u8]>::to(&topic).payload(&[b'a'; 100]);
        producer.send(record).map_err(|(error, _)| error)?;
        let (ack, arrival) = (receive(&acks)?, receive(&arrivals)?);
        waits_us.push(arrival.saturating_duration_since(ack).as_micros());
    }
    let mut measured = waits_us.split_off(WARM_UP);
    measured.sort_unstable();
    let at = |per_mille: usize| measured.get(records * per_mille / 1000).copied();
    let (p50, p99) = at(500).zip(at(990)).context("nothing was measured")?;
    writeln!(
        stdout(),
        "{records} records, from ack to consumer: p50 {p50} us, p99 {p99} us"
    )?;
    Ok(())
}

/// Sends the time of each ack.
struct Acks(Sender<Instant>);

impl ClientContext for Acks {}

impl ProducerContext for Acks {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        assert!(result.is_ok(), "delivery failed: {result:?}");
        // Sending fails only if the main thread has failed.
        let _sent = self.0.send(now());
    }
}

/// Starts a consumer on a separate thread, which sends the time of each record.
fn consume(bootstrap: &str, topic: &str, arrived: Sender<Instant>) -> Result<()> {
    let consumer: BaseConsumer = config(bootstrap)
        .set("group.id", "fetch-latency")
        .create()?;
    let mut partitions = TopicPartitionList::new();
    partitions.add_partition_offset(topic, 0, Offset::Beginning)?;
    consumer.assign(&partitions)?;
    thread::spawn(move || {
        while let Some(polled) = consumer.poll(RECORD_LIMIT) {
            let at = now();
            if polled.is_err() || arrived.send(at).is_err() {
                return;
            }
        }
    });
    Ok(())
}

fn receive(times: &Receiver<Instant>) -> Result<Instant> {
    times
        .recv_timeout(RECORD_LIMIT)
        .context("no ack or record within 30 s")
}
