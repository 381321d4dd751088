//! rdkafka as a producer, a consumer without a group and a group member. Returns the same events as
//! the programs of the other families.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::deadline::{Deadline, PROGRAM_LIMIT};
use crate::family::{Produce, values};
use crate::program::{Event, Record};

const REQUEST_LIMIT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);

/// Returns the settings common to all clients of this module.
pub fn config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config
}

/// Delivery reports of produced values.
#[derive(Clone, Debug, Default)]
pub struct Deliveries {
    events: Arc<Mutex<Vec<Event>>>,
}

impl Deliveries {
    /// Returns the delivery reports so far.
    pub fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        // A panic in another thread must not hide the reports.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<String>;

    fn delivery(&self, result: &DeliveryResult<'_>, value: Box<String>) {
        let value = *value;
        let event = match result {
            Ok(message) => Event::Acked {
                value,
                partition: message.partition(),
                offset: message.offset(),
            },
            Err((error, _)) => Event::Failed {
                value,
                code: error.rdkafka_error_code().map(|code| code as i64),
                text: Some(error.to_string()),
            },
        };
        self.events().push(event);
    }
}

/// Creates a producer that collects its delivery reports.
///
/// # Errors
/// Fails if the settings are invalid.
pub fn producer(config: &ClientConfig) -> Result<(ThreadedProducer<Deliveries>, Deliveries)> {
    let deliveries = Deliveries::default();
    let producer = config.create_with_context(deliveries.clone())?;
    Ok((producer, deliveries))
}

/// Sends one value, identified by `name` in the events.
///
/// # Errors
/// Fails if the value cannot be queued.
pub fn send(
    producer: &ThreadedProducer<Deliveries>,
    (topic, partition): (&str, Option<i32>),
    name: &str,
    value: &[u8],
) -> Result<()> {
    let opaque = Box::new(name.to_owned());
    let mut record = BaseRecord::<(), [u8], _>::with_opaque_to(topic, opaque).payload(value);
    record.partition = partition;
    producer.send(record).map_err(|(error, _)| error)?;
    Ok(())
}

/// Produces values.
///
/// # Errors
/// Fails if the producer cannot be created or flushed.
pub fn produce(bootstrap: &str, what: &Produce<'_>) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    for codec in what.codecs {
        let (producer, deliveries) = producer(
            config(bootstrap)
                .set("compression.type", *codec)
                .set("enable.idempotence", what.idempotent.to_string())
                .set("linger.ms", "20"),
        )?;
        for value in values(what, codec) {
            let place = (what.topic, what.partition);
            send(&producer, place, &value, value.as_bytes())?;
        }
        producer.flush(PROGRAM_LIMIT)?;
        events.append(&mut deliveries.events());
    }
    Ok(events)
}

/// Reads a topic without a group, up to its current end.
///
/// # Errors
/// Fails if a request fails or times out.
pub fn consume(bootstrap: &str, topic: &str) -> Result<Vec<Event>> {
    // librdkafka requires a group id; with manual assignment no group is joined.
    let consumer: BaseConsumer = config(bootstrap).set("group.id", "unused").create()?;
    let metadata = consumer.fetch_metadata(Some(topic), REQUEST_LIMIT)?;
    let found = metadata.topics().first().context("no topic metadata")?;
    let mut assignment = TopicPartitionList::new();
    let mut ends = HashMap::new();
    for partition in found.partitions() {
        let partition = partition.id();
        let (low, high) = consumer.fetch_watermarks(topic, partition, REQUEST_LIMIT)?;
        if high > low {
            ends.insert(partition, high);
        }
        assignment.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&assignment)?;
    let mut events = Vec::new();
    let deadline = Deadline::after(PROGRAM_LIMIT);
    while !ends.is_empty() {
        if let Some(message) = poll(&consumer, deadline)? {
            let record = record(&message)?;
            if ends.get(&record.partition) == Some(&(record.offset + 1)) {
                ends.remove(&record.partition);
            }
            events.push(Event::Record(record));
        }
    }
    Ok(events)
}

/// Reads `count` records as a member of a group, commits each, and leaves the group.
///
/// # Errors
/// Fails if a request is rejected or times out.
pub fn group(bootstrap: &str, topic: &str, group: &str, count: usize) -> Result<Vec<Event>> {
    let consumer: BaseConsumer = config(bootstrap)
        .set("group.id", group)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()?;
    consumer.subscribe(&[topic])?;
    let mut events = Vec::new();
    let deadline = Deadline::after(PROGRAM_LIMIT);
    while events.len() < count {
        if let Some(message) = poll(&consumer, deadline)? {
            events.push(Event::Record(record(&message)?));
            consumer.commit_message(&message, CommitMode::Sync)?;
        }
    }
    Ok(events)
}

fn poll(consumer: &BaseConsumer, deadline: Deadline) -> Result<Option<BorrowedMessage<'_>>> {
    if deadline.left().is_zero() {
        bail!("timed out waiting for records");
    }
    Ok(consumer.poll(POLL).transpose()?)
}

fn record(message: &BorrowedMessage<'_>) -> Result<Record> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec());
    Ok(Record {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(text).transpose()?,
        value: text(message.payload().unwrap_or_default())?,
    })
}
