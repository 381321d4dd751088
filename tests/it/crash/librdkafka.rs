//! Idempotent producers by librdkafka that never run out of work.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use avouch_history::{Event, Place, Producer};
use avouch_tests::rust_client::config;
use rdkafka::client::ClientContext;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{
    BaseRecord, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer,
};
use rdkafka::statistics::Statistics;

use super::notes::Notes;
use super::{PARTITIONS, TOPIC};

/// An idempotent producer has at most five requests in flight, so many are needed.
const PRODUCERS: usize = 16;
/// Records of a producer that wait for their report: enough to keep its five requests busy.
const WAITING_MAX: usize = 30;
/// Producers that give up at each kill, so that what they sent is never asked for again.
const GIVING_UP: usize = 2;

/// One producer's view, shared with librdkafka's threads.
#[derive(Clone, Debug)]
struct Watch {
    notes: Notes,
    /// Its number, which no other producer had or gets.
    number: usize,
    /// Records sent and not reported.
    waiting: Arc<AtomicUsize>,
    /// Requests sent and not answered, by librdkafka's own statistics. A request holds one record.
    in_flight: Arc<AtomicI64>,
}

impl ClientContext for Watch {
    fn stats(&self, statistics: Statistics) {
        let brokers = statistics.brokers.values();
        let in_flight = brokers.map(|broker| broker.waitresp_cnt).sum();
        self.in_flight.store(in_flight, Ordering::Relaxed);
    }
}

impl ProducerContext for Watch {
    type DeliveryOpaque = Box<String>;

    fn delivery(&self, result: &DeliveryResult<'_>, value: Box<String>) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        // A failure is a record that was given up: it may be stored or not.
        if let Ok(message) = result {
            self.notes.note(Event::Acked {
                value: *value,
                at: Place::new(message.partition(), message.offset()),
            });
        }
    }
}

pub(super) struct Fleet {
    broker: String,
    notes: Notes,
    producers: Vec<(ThreadedProducer<Watch>, Watch)>,
    /// Producers there ever were.
    numbers: usize,
    /// Records sent in all.
    count: usize,
}

impl Fleet {
    pub(super) fn new(broker: &str, notes: &Notes) -> Result<Self> {
        let mut fleet = Self {
            broker: broker.to_owned(),
            notes: notes.clone(),
            producers: Vec::new(),
            numbers: 0,
            count: 0,
        };
        for _ in 0..PRODUCERS {
            let producer = fleet.producer()?;
            fleet.producers.push(producer);
        }
        Ok(fleet)
    }

    fn producer(&mut self) -> Result<(ThreadedProducer<Watch>, Watch)> {
        self.numbers += 1;
        let watch = Watch {
            notes: self.notes.clone(),
            number: self.numbers,
            waiting: Arc::default(),
            in_flight: Arc::default(),
        };
        let producer = config(&self.broker)
            .set("enable.idempotence", "true")
            .set("max.in.flight.requests.per.connection", "5")
            .set("batch.num.messages", "1")
            .set("linger.ms", "0")
            .set("message.timeout.ms", "300000")
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "200")
            .set("statistics.interval.ms", "50")
            .create_with_context(watch.clone())?;
        Ok((producer, watch))
    }

    /// Requests on the wire, as of up to 50 ms ago.
    pub(super) fn unanswered(&self) -> i64 {
        let in_flight = |(_, watch): &(_, Watch)| watch.in_flight.load(Ordering::Relaxed);
        self.producers.iter().map(in_flight).sum()
    }

    /// Gives every producer work.
    pub(super) fn send_more(&mut self) -> Result<()> {
        for (producer, watch) in &self.producers {
            while watch.waiting.load(Ordering::Relaxed) < WAITING_MAX {
                self.count += 1;
                let value = format!("librdkafka {} record {}", watch.number, self.count);
                let partition = i32::try_from(self.count)? % PARTITIONS;
                self.notes.note(Event::Sent {
                    producer: Producer(watch.number),
                    partition,
                    value: value.clone(),
                });
                watch.waiting.fetch_add(1, Ordering::Relaxed);
                let record =
                    BaseRecord::<(), [u8], _>::with_opaque_to(TOPIC, Box::new(value.clone()))
                        .partition(partition)
                        .payload(value.as_bytes());
                producer
                    .send(record)
                    .map_err(|(error, _)| error)
                    .with_context(|| value.clone())?;
            }
        }
        Ok(())
    }

    /// Some producers forget what they sent, and others take their place.
    pub(super) fn give_up(&mut self, kill: usize) -> Result<()> {
        for number in kill * GIVING_UP..(kill + 1) * GIVING_UP {
            let newcomer = self.producer()?;
            let place = &mut self.producers[number % PRODUCERS];
            let (producer, _) = std::mem::replace(place, newcomer);
            producer.purge(PurgeConfig::default().queue().inflight());
        }
        for (_, watch) in &self.producers {
            watch.in_flight.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Waits until everything that is still wanted is acknowledged.
    pub(super) fn finish(self) -> Result<()> {
        for (producer, watch) in &self.producers {
            producer.flush(Duration::from_secs(120))?;
            let waiting = watch.waiting.load(Ordering::Relaxed);
            ensure!(waiting == 0, "{waiting} records have no report");
        }
        Ok(())
    }
}
