//! The way of single records, from the moment when each is due to its consumer.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use avouch_tests::deadline::{Deadline, now};
use avouch_tests::peer::Peer;
use avouch_tests::rust_client::config;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

use crate::cells::Cell;
use crate::load::{Acked, DRAIN_LIMIT, WARM_UP, beginning, prepared, reader};

/// Records at a fixed rate; the number of each is its key.
#[derive(Clone, Copy, Debug)]
struct Schedule {
    begun: Instant,
    rate: f64,
    /// Records that are sent, and how many of them come before it counts.
    records: u64,
    warm: u64,
}

impl Schedule {
    fn due(self, record: u64) -> Instant {
        self.begun + Duration::from_secs_f64(record as f64 / self.rate)
    }
}

/// p50 and p99 in ms at `rate` records a second, nothing gathered at the client. A record's time
/// begins when it is due, whenever the client gets round to sending it: what keeps the client
/// waiting keeps the record waiting.
pub(crate) fn latency(
    peer: &Peer,
    (cell, topic): (&Cell, &str),
    rate: f64,
    span: Duration,
) -> Result<(f64, f64)> {
    let mut values = prepared(peer, cell, topic)?;
    let consumer = reader(peer)?;
    let producer: ThreadedProducer<Acked> = config(peer.bootstrap())
        .set("acks", "all")
        .set("compression.type", cell.codec)
        .set("linger.ms", "0")
        .create_with_context(Acked::default())?;
    consumer.assign(&beginning(topic, cell.partitions)?)?;
    let schedule = Schedule {
        begun: now(),
        rate,
        records: (rate * (WARM_UP + span).as_secs_f64()) as u64,
        warm: (rate * WARM_UP.as_secs_f64()) as u64,
    };
    let reading = thread::spawn(move || arrivals(&consumer, schedule));
    for number in 0..schedule.records {
        // Those that are due within a sleep's grain leave together.
        let ahead = schedule.due(number).saturating_duration_since(now());
        if !ahead.is_zero() {
            thread::sleep(ahead);
        }
        let key = number.to_be_bytes();
        let record = BaseRecord::<[u8], [u8], _>::with_opaque_to(topic, ())
            .partition(i32::try_from(number % u64::try_from(cell.partitions)?)?)
            .key(key.as_slice())
            .payload(values.next_value());
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(DRAIN_LIMIT)?;
    let mut took = reading.join().ok().context("the reader panicked")??;
    took.sort_unstable();
    let at = |per_mille: usize| took.get(took.len() * per_mille / 1_000);
    let (p50, p99) = at(500).zip(at(990)).context("nothing arrived")?;
    Ok((p50.as_secs_f64() * 1e3, p99.as_secs_f64() * 1e3))
}

/// How long each record that counts was under way.
fn arrivals(consumer: &BaseConsumer, schedule: Schedule) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    let last_due = schedule.due(schedule.records);
    let deadline = Deadline::after(last_due.saturating_duration_since(now()) + DRAIN_LIMIT);
    for came in 0..schedule.records {
        let message = loop {
            ensure!(!deadline.left().is_zero(), "{came} records came");
            if let Some(message) = consumer.poll(Duration::from_secs(1)).transpose()? {
                break message;
            }
        };
        let number = message.key().and_then(<[u8]>::first_chunk);
        let number = u64::from_be_bytes(*number.context("a record of ours")?);
        if number >= schedule.warm {
            took.push(now().saturating_duration_since(schedule.due(number)));
        }
    }
    Ok(took)
}
