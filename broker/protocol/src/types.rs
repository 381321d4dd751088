//! Offsets, partition indexes, producer ids and other numbers as types.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// The position of a record in its partition, from 0.
    Offset(i64)
);
number!(
    /// The index of a partition in its topic, from 0.
    PartitionIndex(i32)
);
number!(
    /// The number of leader changes of a partition.
    LeaderEpoch(i32)
);
number!(
    /// The id of an idempotent or transactional producer, -1 for none.
    ProducerId(i64)
);
number!(
    /// The generation of a producer id. A higher epoch fences a lower one (KIP-98).
    ProducerEpoch(i16)
);
number!(
    /// The number of a producer's record in a partition. Wraps from 2^31-1 to 0.
    Sequence(i32)
);
number!(
    /// Milliseconds since the Unix epoch.
    TimestampMs(i64)
);

impl Offset {
    /// Returns the offset `count` records later, at most `i64::MAX`.
    #[must_use]
    pub fn plus(self, count: i64) -> Self {
        // Offsets from clients can be any number; the sum must not overflow.
        Self(self.0.saturating_add(count))
    }
}

/// The id of a topic. It is never reused: a topic that is deleted and created again has another id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub Uuid);

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One partition of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic.
    pub topic: TopicId,
    /// The partition.
    pub partition: PartitionIndex,
}

/// A string that is not a topic partition.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("invalid topic partition {0:?}; expected a topic id, a hyphen and a partition index")]
pub struct BadTopicPartition(pub String);

impl FromStr for TopicPartition {
    type Err = BadTopicPartition;

    /// Parses the format of `Display`: `<topic id>-<partition index>`.
    fn from_str(text: &str) -> Result<Self, BadTopicPartition> {
        let parse = || {
            // A topic id contains hyphens itself.
            let (topic, index) = text.rsplit_once('-')?;
            Some(Self {
                topic: TopicId(topic.parse().ok()?),
                partition: PartitionIndex(index.parse().ok()?),
            })
        };
        parse().ok_or_else(|| BadTopicPartition(text.to_owned()))
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}
