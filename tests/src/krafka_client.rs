//! krafka, a Kafka client in pure Rust, as a producer, a consumer without a group and a group
//! member. Returns the same events as the programs of the other families.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use krafka::consumer::{
    AutoOffsetReset, Consumer, ConsumerBuilder, ConsumerRecord, OffsetAndMetadata, TopicPartition,
};
use krafka::producer::Producer;
use krafka::{Compression, Kafka, Record as Sent};
use tokio::runtime::Runtime;

use crate::deadline::{Deadline, PROGRAM_LIMIT};
use crate::family::{Produce, values};
use crate::program::{Event, Record};

const POLL: Duration = Duration::from_millis(100);
const LINGER: Duration = Duration::from_millis(20);
/// Long enough that a busy machine queues a few values meanwhile.
const BATCH_LINGER: Duration = Duration::from_secs(1);

/// Produces values.
///
/// # Errors
/// Fails if the broker cannot be reached or a value cannot be queued.
pub fn produce(bootstrap: &str, what: &Produce<'_>) -> Result<Vec<Event>> {
    Runtime::new()?.block_on(async {
        let mut events = Vec::new();
        for codec in what.codecs {
            events.extend(produce_with(codec, bootstrap, what).await?);
        }
        Ok(events)
    })
}

/// Produces `values` in one batch, with idempotence.
///
/// # Errors
/// Fails if the broker cannot be reached or a value cannot be queued.
pub fn produce_batch(bootstrap: &str, topic: &str, values: Vec<String>) -> Result<Vec<Event>> {
    Runtime::new()?.block_on(async {
        let kafka = connect(bootstrap).await?;
        let builder = kafka.producer().idempotent(true).linger(BATCH_LINGER);
        let producer = builder.build().await?;
        let events = send(&producer, topic, Some(0), values).await?;
        producer.close().await?;
        Ok(events)
    })
}

/// Reads a topic without a group, up to its current end.
///
/// # Errors
/// Fails if a request fails or times out.
pub fn consume(bootstrap: &str, topic: &str) -> Result<Vec<Event>> {
    Runtime::new()?.block_on(async {
        let kafka = connect(bootstrap).await?;
        let partitions = kafka
            .producer()
            .build()
            .await?
            .partitions_for(topic)
            .await?;
        let partitions: Vec<_> = partitions.iter().map(|found| found.partition).collect();
        let consumer = configured(kafka.consumer_without_group()).build().await?;
        let mut ends = HashMap::new();
        for partition in &partitions {
            let (low, high) = consumer.fetch_watermarks(topic, *partition).await?;
            // An empty partition delivers no record that could mark its end.
            if high > low {
                ends.insert(*partition, high);
            }
        }
        consumer.assign(topic, partitions).await?;
        let mut events = Vec::new();
        let deadline = Deadline::after(PROGRAM_LIMIT);
        while !ends.is_empty() {
            for record in poll(&consumer, deadline).await? {
                if ends.get(&record.partition) == Some(&(record.offset + 1)) {
                    ends.remove(&record.partition);
                }
                events.push(event_of(&record)?);
            }
        }
        consumer.close().await?;
        Ok(events)
    })
}

/// Reads `count` records as a member of a group, commits each, and leaves the group.
///
/// # Errors
/// Fails if a request is rejected or times out.
pub fn group(bootstrap: &str, topic: &str, group: &str, count: usize) -> Result<Vec<Event>> {
    Runtime::new()?.block_on(async {
        let kafka = connect(bootstrap).await?;
        let consumer = configured(kafka.consumer(group)).build().await?;
        consumer.subscribe([topic]).await?;
        let mut events = Vec::new();
        let deadline = Deadline::after(PROGRAM_LIMIT);
        while events.len() < count {
            let left = count - events.len();
            for record in poll(&consumer, deadline).await?.into_iter().take(left) {
                events.push(event_of(&record)?);
                let at = TopicPartition::new(topic, record.partition);
                let next = OffsetAndMetadata::new(record.offset + 1);
                consumer.commit_offsets([(at, next)]).await?;
            }
        }
        consumer.close().await?;
        Ok(events)
    })
}

async fn connect(bootstrap: &str) -> Result<Kafka> {
    let builder = Kafka::builder(bootstrap).allow_auto_create_topics(true);
    Ok(builder.connect().await?)
}

fn configured(builder: ConsumerBuilder) -> ConsumerBuilder {
    builder
        .auto_offset_reset(AutoOffsetReset::Earliest)
        .enable_auto_commit(false)
}

async fn produce_with(codec: &str, bootstrap: &str, what: &Produce<'_>) -> Result<Vec<Event>> {
    let producer = connect(bootstrap)
        .await?
        .producer()
        .compression(compression(codec)?)
        .idempotent(what.idempotent)
        .linger(LINGER)
        .build()
        .await?;
    let events = send(&producer, what.topic, what.partition, values(what, codec)).await?;
    producer.close().await?;
    Ok(events)
}

/// Enqueues all values and then waits for their results.
async fn send(
    producer: &Producer,
    topic: &str,
    partition: Option<i32>,
    values: Vec<String>,
) -> Result<Vec<Event>> {
    let mut sent = Vec::new();
    for value in values {
        let mut record = Sent::new(topic, value.clone());
        if let Some(partition) = partition {
            record = record.partition(partition);
        }
        sent.push((value, producer.enqueue(record).await?));
    }
    let mut events = Vec::new();
    for (value, delivery) in sent {
        events.push(match delivery.await {
            Ok(stored) => Event::Acked {
                value,
                partition: stored.partition,
                offset: stored.offset,
            },
            Err(error) => Event::Failed {
                value,
                code: None,
                text: Some(error.to_string()),
            },
        });
    }
    Ok(events)
}

fn compression(codec: &str) -> Result<Compression> {
    Ok(match codec {
        "none" => Compression::None,
        "gzip" => Compression::Gzip,
        "snappy" => Compression::Snappy,
        "lz4" => Compression::Lz4,
        "zstd" => Compression::Zstd,
        other => bail!("unknown codec {other}"),
    })
}

async fn poll(consumer: &Consumer, deadline: Deadline) -> Result<Vec<ConsumerRecord>> {
    if deadline.left().is_zero() {
        bail!("timed out waiting for records");
    }
    Ok(consumer.poll(POLL).await?)
}

fn event_of(record: &ConsumerRecord) -> Result<Event> {
    Ok(Event::Record(Record {
        partition: record.partition,
        offset: record.offset,
        key: record.key_str().map(str::to_owned),
        value: record.value_str().context("no text value")?.to_owned(),
    }))
}
