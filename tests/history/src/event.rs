//! Client operations on a log and their results, in the order of observation.

use std::fmt;

/// An offset of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartitionOffset {
    /// Partition index. A history covers one topic.
    pub partition: i32,
    /// Offset in the partition.
    pub offset: i64,
}

impl PartitionOffset {
    /// Returns `offset` of `partition`.
    #[must_use]
    pub fn new(partition: i32, offset: i64) -> Self {
        Self { partition, offset }
    }
}

impl fmt::Display for PartitionOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.partition, self.offset)
    }
}

/// A producer that preserves order: idempotent, or with one request in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Producer(pub usize);

/// A reader. After a seek or a new assignment it counts as another reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reader(pub usize);

/// A client that requests watermarks, one request at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Observer(pub usize);

/// A consumer group with a single committer whose commits only increase.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(pub String);

/// Log start offset, last stable offset and high watermark of a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watermarks {
    /// Log start offset.
    pub log_start: i64,
    /// Last stable offset.
    pub last_stable: i64,
    /// High watermark.
    pub high_watermark: i64,
}

/// One operation of a client or its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A send started. Without a response it is unknown whether the value is stored.
    Sent {
        /// The producer; events are in the order of its sends to a partition.
        producer: Producer,
        /// The partition.
        partition: i32,
        /// The value, unique to this send.
        value: String,
    },
    /// A send was acknowledged.
    Acked {
        /// The value.
        value: String,
        /// The acknowledged offset.
        at: PartitionOffset,
    },
    /// A send was rejected with a final error: the value must not be stored.
    Rejected {
        /// The value.
        value: String,
    },
    /// One poll of a reader: its records of one partition.
    Polled {
        /// The reader; events are in the order of its polls of a partition.
        reader: Reader,
        /// The partition.
        partition: i32,
        /// Offsets and values in the order of their delivery.
        records: Vec<(i64, String)>,
    },
    /// A reader has read all partitions from start to end, after the last send.
    ReadAll {
        /// The reader.
        reader: Reader,
    },
    /// Watermarks were returned.
    Observed {
        /// The observer; events are in the order of its requests.
        observer: Observer,
        /// The partition.
        partition: i32,
        /// The returned watermarks.
        watermarks: Watermarks,
    },
    /// A timestamp lookup returned the first record at or after a timestamp.
    OffsetForTime {
        /// The partition; events are in the order of the requests.
        partition: i32,
        /// The requested timestamp in milliseconds.
        timestamp: i64,
        /// Offset of the record; `None` if there is none yet.
        found: Option<i64>,
    },
    /// An offset commit was acknowledged.
    Committed {
        /// The group.
        group: GroupName,
        /// Next offset to read.
        at: PartitionOffset,
    },
    /// The committed offset of a group was fetched while no commit was in flight.
    Fetched {
        /// The group.
        group: GroupName,
        /// The partition.
        partition: i32,
        /// The committed offset; `None` if there is none.
        offset: Option<i64>,
    },
}

/// Events in the order of observation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// Oldest first.
    pub events: Vec<Event>,
}

impl History {
    /// Appends an event.
    pub fn record(&mut self, event: Event) {
        self.events.push(event);
    }
}
