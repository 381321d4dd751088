//! Idempotent producers of librdkafka that send continuously.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use avouch_history::{Event, PartitionOffset, Producer};
use avouch_tests::rust_client::config;
use rdkafka::client::ClientContext;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{
    BaseRecord, Producer as _, ProducerContext, PurgeConfig, ThreadedProducer,
};
use rdkafka::statistics::Statistics;

use super::recorder::Recorder;
use super::{PARTITIONS, TOPIC};

/// Number of producers. An idempotent producer has at most five requests in flight.
const PRODUCERS: usize = 16;
/// Records of a producer without a delivery report: enough to keep five requests in flight.
const PENDING_MAX: usize = 30;
/// Producers replaced at each kill. Their unacknowledged records are never retried.
const REPLACED_PER_KILL: usize = 2;

/// State of one producer, shared with librdkafka's threads.
#[derive(Clone, Debug)]
struct ProducerState {
    recorder: Recorder,
    /// Unique number of the producer.
    number: usize,
    /// Records sent and without delivery report.
    pending: Arc<AtomicUsize>,
    /// Requests in flight, from librdkafka's statistics. Each request has one record.
    in_flight: Arc<AtomicI64>,
}

impl ClientContext for ProducerState {
    fn stats(&self, statistics: Statistics) {
        let brokers = statistics.brokers.values();
        let in_flight = brokers.map(|broker| broker.waitresp_cnt).sum();
        self.in_flight.store(in_flight, Ordering::Relaxed);
    }
}

impl ProducerContext for ProducerState {
    type DeliveryOpaque = Box<String>;

    fn delivery(&self, result: &DeliveryResult<'_>, value: Box<String>) {
        self.pending.fetch_sub(1, Ordering::Relaxed);
        // A failed record was purged or timed out: it can be stored or not.
        if let Ok(message) = result {
            self.recorder.record(Event::Acked {
                value: *value,
                at: PartitionOffset::new(message.partition(), message.offset()),
            });
        }
    }
}

pub(super) struct Fleet {
    broker: String,
    recorder: Recorder,
    producers: Vec<(ThreadedProducer<ProducerState>, ProducerState)>,
    /// Number of producers created so far.
    numbers: usize,
    /// Number of records sent so far.
    count: usize,
}

impl Fleet {
    pub(super) fn new(broker: &str, recorder: &Recorder) -> Result<Self> {
        let mut fleet = Self {
            broker: broker.to_owned(),
            recorder: recorder.clone(),
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

    fn producer(&mut self) -> Result<(ThreadedProducer<ProducerState>, ProducerState)> {
        self.numbers += 1;
        let state = ProducerState {
            recorder: self.recorder.clone(),
            number: self.numbers,
            pending: Arc::default(),
            in_flight: Arc::default(),
        };
        let producer = config(&self.broker)
            .set("enable.idempotence", "true")
            .set("max.in.flight.requests.per.connection", "5")
            .set("batch.num.messages", "1")
            .set("linger.ms", "0")
            // No record may time out, or it would not be retried after a restart.
            .set("message.timeout.ms", "300000")
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "200")
            // The statistics are the only source of the number of requests in flight.
            .set("statistics.interval.ms", "50")
            .create_with_context(state.clone())?;
        Ok((producer, state))
    }

    /// Returns the requests in flight, at most 50 ms old.
    pub(super) fn in_flight(&self) -> i64 {
        let in_flight = |(_, state): &(_, ProducerState)| state.in_flight.load(Ordering::Relaxed);
        self.producers.iter().map(in_flight).sum()
    }

    /// Sends records until every producer has [`PENDING_MAX`] pending.
    pub(super) fn send_more(&mut self) -> Result<()> {
        for (producer, state) in &self.producers {
            while state.pending.load(Ordering::Relaxed) < PENDING_MAX {
                self.count += 1;
                let value = format!("librdkafka {} record {}", state.number, self.count);
                let partition = i32::try_from(self.count)? % PARTITIONS;
                // Recorded before the send, because the acknowledgement arrives on another thread.
                self.recorder.record(Event::Sent {
                    producer: Producer(state.number),
                    partition,
                    value: value.clone(),
                });
                state.pending.fetch_add(1, Ordering::Relaxed);
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

    /// Purges some producers and replaces them with new ones.
    pub(super) fn replace_some(&mut self, kill: usize) -> Result<()> {
        for number in kill * REPLACED_PER_KILL..(kill + 1) * REPLACED_PER_KILL {
            let new = self.producer()?;
            let slot = &mut self.producers[number % PRODUCERS];
            let (producer, _) = std::mem::replace(slot, new);
            // A purged record must not be retried: it can be stored or not.
            producer.purge(PurgeConfig::default().queue().inflight());
        }
        // The statistics of the killed connection are stale.
        for (_, state) in &self.producers {
            state.in_flight.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Waits until all pending records are acknowledged.
    pub(super) fn finish(self) -> Result<()> {
        for (producer, state) in &self.producers {
            producer.flush(Duration::from_secs(120))?;
            let pending = state.pending.load(Ordering::Relaxed);
            ensure!(pending == 0, "{pending} records have no delivery report");
        }
        Ok(())
    }
}
