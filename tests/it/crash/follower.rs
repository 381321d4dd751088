//! A consumer that reads the log across all kills and commits its position.

use std::time::Duration;

use anyhow::{Context as _, Result};
use avouch_history::{Event, GroupName, PartitionOffset, Reader};
use avouch_tests::deadline::{Deadline, PROGRAM_LIMIT};
use avouch_tests::rust_client::config;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::recorder::Recorder;
use super::{PARTITIONS, TOPIC};

const GROUP: &str = "followers";
/// Maximum number of polls per call of `read`.
const POLLS_MAX: usize = 500;
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

pub(super) struct Follower {
    consumer: BaseConsumer,
    recorder: Recorder,
    /// Next offset to read, by partition.
    positions: Vec<i64>,
}

impl Follower {
    pub(super) fn new(broker: &str, recorder: &Recorder) -> Result<Self> {
        let consumer: BaseConsumer = config(broker)
            .set("group.id", GROUP)
            // Commits are part of the history, so they are made explicitly.
            .set("enable.auto.commit", "false")
            .set("reconnect.backoff.ms", "20")
            .set("reconnect.backoff.max.ms", "200")
            .create()?;
        let mut from = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            from.add_partition_offset(TOPIC, partition, Offset::Offset(0))?;
        }
        consumer.assign(&from)?;
        Ok(Self {
            consumer,
            recorder: recorder.clone(),
            positions: vec![0; usize::try_from(PARTITIONS)?],
        })
    }

    /// Reads the available records.
    pub(super) fn read(&mut self) -> Result<()> {
        for _ in 0..POLLS_MAX {
            let message = match self.consumer.poll(Duration::ZERO) {
                None => return Ok(()),
                // The broker is down, or the client has not reconnected yet.
                Some(Err(_)) => continue,
                Some(Ok(message)) => message,
            };
            let (partition, offset) = (message.partition(), message.offset());
            let value = message.payload().context("a record without a value")?;
            self.positions[usize::try_from(partition)?] = offset + 1;
            self.recorder.record(Event::Polled {
                reader: Reader(0),
                partition,
                records: vec![(offset, String::from_utf8(value.to_vec())?)],
            });
        }
        Ok(())
    }

    /// Commits the position.
    pub(super) fn commit(&self) -> Result<()> {
        let mut places = TopicPartitionList::new();
        for (partition, offset) in (0..).zip(&self.positions) {
            places.add_partition_offset(TOPIC, partition, Offset::Offset(*offset))?;
        }
        retried("a commit", || {
            self.consumer.commit(&places, CommitMode::Sync)
        })?;
        for (partition, offset) in (0..).zip(&self.positions) {
            self.recorder.record(Event::Committed {
                group: GroupName(GROUP.to_owned()),
                at: PartitionOffset::new(partition, *offset),
            });
        }
        Ok(())
    }

    /// Records the committed offsets.
    pub(super) fn fetch_committed(&self) -> Result<()> {
        let found = retried("committed offsets", || {
            self.consumer.committed(REQUEST_LIMIT)
        })?;
        for place in found.elements() {
            self.recorder.record(Event::Fetched {
                group: GroupName(GROUP.to_owned()),
                partition: place.partition(),
                offset: match place.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                },
            });
        }
        Ok(())
    }
}

/// Retries a request: the client may not have reconnected to a restarted broker yet.
fn retried<T, E>(what: &str, mut request: impl FnMut() -> Result<T, E>) -> Result<T> {
    Deadline::after(PROGRAM_LIMIT).wait(what, || Ok(request().ok()))
}
