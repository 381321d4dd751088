//! The broker is killed again and again with requests in flight. What it acknowledged must be
//! there, once, where it said; what it did not may be there or not; nothing else may be.

use std::collections::{HashMap, HashSet};
use std::io::{Write as _, stderr};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use avouch_tests::deadline::{Deadline, PROGRAM_LIMIT};
use avouch_tests::family::{Family, Produce};
use avouch_tests::node::Node;
use avouch_tests::program::{Record, records};
use avouch_tests::protocol::Connection;
use avouch_tests::rust_client::config;
use rdkafka::client::ClientContext;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{
    BaseRecord, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer,
};
use rdkafka::statistics::Statistics;

const TOPIC: &str = "killed";
const PARTITIONS: i32 = 6;
const KILLS: usize = 20;
/// Fewer acknowledged records than this would prove nothing.
const ACKED_MIN: i64 = 2_000;
/// An idempotent producer has at most five requests in flight, so many are needed.
const PRODUCERS: usize = 32;
/// Requests that must be unanswered when a kill is decided, by statistics that are up to 50 ms old:
/// more than the 50 that are asked for.
const UNANSWERED_MIN: i64 = 80;
/// Records of a producer that wait for their report: enough to keep its five requests busy.
const WAITING_MAX: usize = 30;
/// Producers that give up at each kill, so that what they sent is never asked for again.
const GIVING_UP: usize = 2;

#[test]
fn twenty_kills_lose_nothing_acknowledged_and_invent_nothing() -> Result<()> {
    let mut node = Node::start_to_be_restarted()?;
    let broker = node.bootstrap().to_owned();
    Connection::open(&broker)?.create_topic(TOPIC, PARTITIONS, &[])?;
    let mut fleet = Fleet::new(&broker)?;
    for kill in 1..=KILLS {
        // Another amount of work each time, so that the kills fall on other moments.
        let acked = fleet.ledger.acked().len();
        fleet.work_until(acked + 150 + kill * 61 % 400)?;
        let unanswered = fleet.work_until_unanswered(UNANSWERED_MIN)?;
        node.kill_9()?;
        let acked = fleet.ledger.acked().len();
        writeln!(
            stderr(),
            "kill {kill}: {unanswered} produce requests unanswered, {acked} records acknowledged"
        )?;
        fleet.give_up(kill * GIVING_UP)?;
        node.restart()?;
    }
    let ledger = fleet.finish()?;

    let read = records(&Family::Java.consume(&broker, TOPIC)?);
    writeln!(stderr(), "{} records read back by Java", read.len())?;
    ledger.verify(&read)
}

#[test]
fn committed_offsets_survive_a_kill() -> Result<()> {
    let mut node = Node::start_to_be_restarted()?;
    let broker = node.bootstrap().to_owned();
    let what = Produce {
        topic: TOPIC,
        partition: None,
        codecs: &["none"],
        idempotent: false,
        count: 12,
        prefix: "value",
    };
    Family::Python.produce(&broker, &what)?;
    for life in 0..3 {
        let read = records(&Family::Rust.group(&broker, TOPIC, "readers", 4)?);
        let offsets: Vec<_> = read.iter().map(|record| record.offset).collect();
        assert_eq!(offsets, (life * 4..life * 4 + 4).collect::<Vec<_>>());
        node.kill_9()?;
        node.restart()?;
    }
    Ok(())
}

/// What was sent, and what the broker said about it.
#[derive(Clone, Debug, Default)]
struct Ledger {
    sent: Arc<Mutex<HashSet<String>>>,
    acked: Arc<Mutex<Vec<Record>>>,
}

impl Ledger {
    fn sent(&self) -> MutexGuard<'_, HashSet<String>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acked(&self) -> MutexGuard<'_, Vec<Record>> {
        self.acked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn verify(&self, read: &[Record]) -> Result<()> {
        let (sent, acked) = (self.sent(), self.acked());
        let mut places = HashMap::new();
        let mut values = HashSet::new();
        for record in read {
            ensure!(sent.contains(&record.value), "never sent: {record:?}");
            ensure!(values.insert(&record.value), "stored twice: {record:?}");
            let place = (record.partition, record.offset);
            ensure!(
                places.insert(place, &record.value).is_none(),
                "read twice: {record:?}"
            );
        }
        for record in acked.iter() {
            let stored = places.get(&(record.partition, record.offset));
            ensure!(
                stored == Some(&&record.value),
                "acknowledged {record:?}, but there is {stored:?}"
            );
        }
        let enough = i64::try_from(acked.len())? >= ACKED_MIN;
        ensure!(enough, "only {} acknowledged", acked.len());
        Ok(())
    }
}

/// One producer's view, shared with librdkafka's threads.
#[derive(Clone, Debug, Default)]
struct Watch {
    ledger: Ledger,
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
            self.ledger.acked().push(Record {
                partition: message.partition(),
                offset: message.offset(),
                key: None,
                value: *value,
            });
        }
    }
}

/// Many producers that never run out of work.
struct Fleet {
    broker: String,
    ledger: Ledger,
    producers: Vec<(ThreadedProducer<Watch>, Watch)>,
    /// Records sent in all.
    count: usize,
}

impl Fleet {
    fn new(broker: &str) -> Result<Self> {
        let mut fleet = Self {
            broker: broker.to_owned(),
            ledger: Ledger::default(),
            producers: Vec::new(),
            count: 0,
        };
        for _ in 0..PRODUCERS {
            fleet.producers.push(fleet.producer()?);
        }
        Ok(fleet)
    }

    fn producer(&self) -> Result<(ThreadedProducer<Watch>, Watch)> {
        let watch = Watch {
            ledger: self.ledger.clone(),
            ..Watch::default()
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

    /// Keeps every producer busy until so many records in all are acknowledged.
    fn work_until(&mut self, acked: usize) -> Result<()> {
        Deadline::after(PROGRAM_LIMIT).wait("acknowledgements", || {
            self.send_more()?;
            Ok((self.ledger.acked().len() >= acked).then_some(()))
        })
    }

    /// Keeps every producer busy until at least `wanted` requests are on the wire; how many.
    fn work_until_unanswered(&mut self, wanted: i64) -> Result<i64> {
        Deadline::after(PROGRAM_LIMIT).wait("requests in flight", || {
            self.send_more()?;
            let in_flight = |(_, watch): &(_, Watch)| watch.in_flight.load(Ordering::Relaxed);
            let unanswered: i64 = self.producers.iter().map(in_flight).sum();
            Ok((unanswered >= wanted).then_some(unanswered))
        })
    }

    fn send_more(&mut self) -> Result<()> {
        for (number, (producer, watch)) in self.producers.iter().enumerate() {
            while watch.waiting.load(Ordering::Relaxed) < WAITING_MAX {
                self.count += 1;
                let value = format!("record {} of producer {number}", self.count);
                self.ledger.sent().insert(value.clone());
                watch.waiting.fetch_add(1, Ordering::Relaxed);
                let partition = i32::try_from(self.count)? % PARTITIONS;
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
    fn give_up(&mut self, first: usize) -> Result<()> {
        for number in first..first + GIVING_UP {
            let newcomer = self.producer()?;
            let place = number % PRODUCERS;
            let (producer, _) = std::mem::replace(&mut self.producers[place], newcomer);
            producer.purge(PurgeConfig::default().queue().inflight());
        }
        for (_, watch) in &self.producers {
            watch.in_flight.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Waits until everything that is still wanted is acknowledged.
    fn finish(self) -> Result<Ledger> {
        for (producer, watch) in &self.producers {
            producer.flush(Duration::from_secs(120))?;
            assert_eq!(watch.waiting.load(Ordering::Relaxed), 0);
        }
        Ok(self.ledger)
    }
}

#[test]
fn the_ledger_notices_loss_repetition_moves_and_inventions() -> Result<()> {
    let record = |offset, value: &str| Record {
        partition: 0,
        offset,
        key: None,
        value: value.to_owned(),
    };
    let all: Vec<_> = (0..ACKED_MIN)
        .map(|n| record(n, &format!("sent {n}")))
        .collect();
    let ledger = Ledger::default();
    ledger
        .sent()
        .extend(all.iter().map(|record| record.value.clone()));
    ledger.sent().insert("given up".to_owned());
    ledger.acked().extend(all.iter().cloned());
    let but = |change: fn(&mut Vec<Record>)| {
        let mut read = all.clone();
        change(&mut read);
        ledger.verify(&read)
    };
    let given_up = record(ACKED_MIN, "given up");
    ledger.verify(&[all.as_slice(), &[given_up]].concat())?;
    but(|_| {})?;
    assert!(but(|read| drop(read.pop())).is_err(), "lost");
    assert!(
        but(|read| read.push(read[0].clone())).is_err(),
        "read twice"
    );
    assert!(but(|read| read[0].value.push('!')).is_err(), "invented");
    assert!(but(|read| read[0].offset = ACKED_MIN).is_err(), "moved");
    let again = record(ACKED_MIN, "sent 0");
    assert!(
        ledger.verify(&[all.as_slice(), &[again]].concat()).is_err(),
        "stored twice"
    );
    Ok(())
}
