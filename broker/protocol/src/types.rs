//! The broker's vocabulary as types: parsed once at the edge, never bare integers inside.

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
    /// A record's place in its partition, 0 and up.
    Offset(i64)
);
number!(
    /// A partition's index in its topic, 0 and up.
    PartitionIndex(i32)
);
number!(
    /// How often a partition's leadership has been (re)established.
    LeaderEpoch(i32)
);
number!(
    /// Identity of an idempotent or transactional producer, -1 for none.
    ProducerId(i64)
);
number!(
    /// Generation of a producer id; a higher epoch fences a lower one.
    ProducerEpoch(i16)
);
number!(
    /// Per-partition number of a producer's record; wraps from 2^31-1 to 0.
    Sequence(i32)
);
number!(
    /// Milliseconds since the Unix epoch.
    TimestampMs(i64)
);

impl Offset {
    /// The offset `count` records further on.
    #[must_use]
    pub fn plus(self, count: i64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

/// A topic's identity, stable over its life and never reused: a topic created again under its old
/// name has another id.
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
    /// Which of its partitions.
    pub partition: PartitionIndex,
}

/// A text that names no partition.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a topic id, a hyphen and a partition's index")]
pub struct BadTopicPartition(pub String);

impl FromStr for TopicPartition {
    type Err = BadTopicPartition;

    /// The partition that has this text.
    fn from_str(text: &str) -> Result<Self, BadTopicPartition> {
        let parse = || {
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
