//! End-to-end latency of single records, from the time when each is due until it is consumed.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use avouch_tests::deadline::{Deadline, now};
use avouch_tests::peer::Peer;
use avouch_tests::rust_client::config;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

use crate::load::{Acked, DRAIN_LIMIT, WARM_UP, beginning, consumer, prepare};
use crate::workloads::Workload;

/// Records at a fixed rate. The key of each is its number.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    started: Instant,
    rate: f64,
    /// All records.
    records: u64,
    /// Records of the warm-up, which are not measured.
    warm_up: u64,
}

impl Schedule {
    fn due(self, record: u64) -> Instant {
        self.started + Duration::from_secs_f64(record as f64 / self.rate)
    }
}

/// Returns p50 and p99 in ms at `rate` records per second, with linger 0.
///
/// The latency of a record starts when it is due, not when the client sends it. So a delay of the
/// client counts for all records that it delays (no coordinated omission).
pub(crate) fn measure(
    peer: &Peer,
    (workload, topic): (&Workload, &str),
    rate: f64,
    span: Duration,
) -> Result<(f64, f64)> {
    let mut values = prepare(peer, workload, topic)?;
    let consumer = consumer(peer)?;
    let producer: ThreadedProducer<Acked> = config(peer.bootstrap())
        .set("acks", "all")
        .set("compression.type", workload.codec)
        .set("linger.ms", "0")
        .create_with_context(Acked::default())?;
    consumer.assign(&beginning(topic, workload.partitions)?)?;
    let schedule = Schedule {
        started: now(),
        rate,
        records: (rate * (WARM_UP + span).as_secs_f64()) as u64,
        warm_up: (rate * WARM_UP.as_secs_f64()) as u64,
    };
    let reading = thread::spawn(move || arrivals(&consumer, schedule));
    for number in 0..schedule.records {
        // Records that are due within the resolution of a sleep are sent together.
        let ahead = schedule.due(number).saturating_duration_since(now());
        if !ahead.is_zero() {
            thread::sleep(ahead);
        }
        let key = number.to_be_bytes();
        let record = BaseRecord::<[u8], [u8], _>::with_opaque_to(topic, ())
            .partition(i32::try_from(number % u64::try_from(workload.partitions)?)?)
            .key(key.as_slice())
            .payload(values.next_value());
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(DRAIN_LIMIT)?;
    let mut latencies = reading.join().ok().context("the consumer panicked")??;
    latencies.sort_unstable();
    let at = |per_mille: usize| latencies.get(latencies.len() * per_mille / 1_000);
    let (p50, p99) = at(500).zip(at(990)).context("nothing arrived")?;
    Ok((p50.as_secs_f64() * 1e3, p99.as_secs_f64() * 1e3))
}

/// Consumes all records and returns the latencies of those after the warm-up.
fn arrivals(consumer: &BaseConsumer, schedule: Schedule) -> Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    let last_due = schedule.due(schedule.records);
    let deadline = Deadline::after(last_due.saturating_duration_since(now()) + DRAIN_LIMIT);
    for arrived in 0..schedule.records {
        let message = loop {
            ensure!(!deadline.left().is_zero(), "only {arrived} records arrived");
            if let Some(message) = consumer.poll(Duration::from_secs(1)).transpose()? {
                break message;
            }
        };
        let number = message.key().and_then(<[u8]>::first_chunk);
        let number = u64::from_be_bytes(*number.context("a key of another length")?);
        if number >= schedule.warm_up {
            latencies.push(now().saturating_duration_since(schedule.due(number)));
        }
    }
    Ok(latencies)
}
