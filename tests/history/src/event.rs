//! What can be seen of a log from outside, in the order in which it was seen.

use std::fmt;

/// One partition's offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Number of the partition. A history is about one topic.
    pub partition: i32,
    /// Offset there.
    pub offset: i64,
}

impl Place {
    /// The place `offset` of `partition`.
    #[must_use]
    pub fn new(partition: i32, offset: i64) -> Self {
        Self { partition, offset }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.partition, self.offset)
    }
}

/// Which producer. One that keeps its order: idempotent, or with one request in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Producer(pub usize);

/// Which reader. One that seeks or is assigned anew is another reader from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reader(pub usize);

/// Who asks for watermarks, one question after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Observer(pub usize);

/// A consumer group with one committer, whose commits only go forward.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(pub String);

/// A partition's edges as they were answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// First offset that can be read.
    pub log_start: i64,
    /// End for readers of committed records.
    pub last_stable: i64,
    /// End for all readers.
    pub high_watermark: i64,
}

/// One thing that a client did or saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A send began. Without an answer it is unknown whether it is stored.
    Sent {
        /// By whom; its sends to a partition are in the order of their events.
        producer: Producer,
        /// Where to.
        partition: i32,
        /// What; no other send has it.
        value: String,
    },
    /// A send was acknowledged.
    Acked {
        /// What was sent.
        value: String,
        /// Where it is said to be.
        at: Place,
    },
    /// A send was refused for good: the value must not be stored.
    Refused {
        /// What was sent.
        value: String,
    },
    /// One poll of a reader: what it got of one partition.
    Polled {
        /// By whom; its polls of a partition are in the order of their events.
        reader: Reader,
        /// Of which partition.
        partition: i32,
        /// Offsets and values in the order in which they came.
        records: Vec<(i64, String)>,
    },
    /// A reader has read all partitions from their start to their end, after the last send.
    ReadAll {
        /// Which.
        reader: Reader,
    },
    /// Watermarks were answered.
    Observed {
        /// To whom; its observations are in the order of their events.
        observer: Observer,
        /// Of which partition.
        partition: i32,
        /// What was answered.
        watermarks: Watermarks,
    },
    /// It was answered which record is the first at or after a time.
    LookedUp {
        /// In which partition; its questions are in the order of their events.
        partition: i32,
        /// What was asked for, in milliseconds.
        timestamp: i64,
        /// The record's offset; `None` where there is none yet.
        found: Option<i64>,
    },
    /// A commit was acknowledged.
    Committed {
        /// Of whom.
        group: GroupName,
        /// Next offset to be read.
        at: Place,
    },
    /// A group's committed offset was asked for, and no commit was under way.
    Fetched {
        /// Of whom.
        group: GroupName,
        /// Where it was asked for.
        partition: i32,
        /// What was answered; `None` for nothing.
        offset: Option<i64>,
    },
}

/// Events in the order in which they were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Oldest first.
    pub events: Vec<Event>,
}

impl History {
    /// Writes one event down.
    pub fn note(&mut self, event: Event) {
        self.events.push(event);
    }
}
