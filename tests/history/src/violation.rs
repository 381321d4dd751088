//! Violations that a history can contain, and the invariant of each.

use thiserror::Error;

use crate::event::{GroupName, Observer, PartitionOffset, Producer, Reader, Watermarks};

/// An invariant of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// Acknowledged or read records can be read at the end.
    NoLostWrite,
    /// An offset has the same value for all readers at all times.
    OneValuePerOffset,
    /// A value is stored at one offset.
    OneOffsetPerValue,
    /// Rejected values are not read.
    NoRejectedRead,
    /// Only sent values are read.
    OnlySentValues,
    /// Within one poll offsets increase, and no visible offset is skipped.
    PollsInOrder,
    /// Between consecutive polls of a reader offsets increase, and no visible offset is skipped.
    ReadersInOrder,
    /// Later sends of a producer to a partition get higher offsets.
    SendsInOrder,
    /// A committed offset does not decrease.
    CommitsDoNotGoBack,
    /// Watermarks do not decrease, and log start <= last stable <= high watermark.
    WatermarksDoNotGoBack,
    /// A timestamp lookup returns the same record while the record exists, and a later timestamp
    /// does not return an earlier offset.
    TimestampLookupsAgree,
    /// A value is read at the offset of its acknowledgement.
    AcksMatchReads,
    /// A reader reads all partitions at the end; otherwise the history proves nothing.
    CompleteRead,
}

impl Invariant {
    /// Returns the number of the invariant in `docs/conformance`, if it has one.
    #[must_use]
    pub fn number(self) -> Option<&'static str> {
        match self {
            Self::NoLostWrite => Some("I1"),
            Self::OneValuePerOffset => Some("I2"),
            Self::OneOffsetPerValue => Some("I3"),
            Self::NoRejectedRead => Some("I4"),
            Self::PollsInOrder => Some("I6"),
            Self::ReadersInOrder => Some("I7"),
            Self::SendsInOrder => Some("I8"),
            Self::CommitsDoNotGoBack => Some("I11"),
            Self::WatermarksDoNotGoBack | Self::TimestampLookupsAgree => Some("I12"),
            Self::AcksMatchReads => Some("I13"),
            Self::OnlySentValues | Self::CompleteRead => None,
        }
    }
}

/// A violation of an invariant.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// See [`Invariant::NoLostWrite`].
    #[error("{value:?} was at {at} and cannot be read at the end")]
    Lost {
        /// The value.
        value: String,
        /// The offset at which it was acknowledged or read.
        at: PartitionOffset,
    },
    /// See [`Invariant::OneValuePerOffset`].
    #[error("{at} has the values {first:?} and {second:?}")]
    TwoValues {
        /// The offset.
        at: PartitionOffset,
        /// The value that was read or acknowledged first.
        first: String,
        /// Another value.
        second: String,
    },
    /// See [`Invariant::OneOffsetPerValue`].
    #[error("{value:?} is at {first} and at {second}")]
    TwoPlaces {
        /// The value.
        value: String,
        /// The offset at which it was read first.
        first: PartitionOffset,
        /// Another offset.
        second: PartitionOffset,
    },
    /// See [`Invariant::NoRejectedRead`].
    #[error("{value:?} was rejected and is at {at}")]
    RejectedRead {
        /// The value.
        value: String,
        /// Its offset.
        at: PartitionOffset,
    },
    /// See [`Invariant::OnlySentValues`].
    #[error("{value:?} at {at} was never sent")]
    NeverSent {
        /// The value.
        value: String,
        /// Its offset.
        at: PartitionOffset,
    },
    /// See [`Invariant::PollsInOrder`] and [`Invariant::ReadersInOrder`].
    #[error("{reader:?} received {at} after {after}, in one poll: {in_one_poll}")]
    OffsetsNotIncreasing {
        /// The reader.
        reader: Reader,
        /// The later record.
        at: PartitionOffset,
        /// The record before it.
        after: PartitionOffset,
        /// True if both records are from one poll.
        in_one_poll: bool,
    },
    /// See [`Invariant::PollsInOrder`] and [`Invariant::ReadersInOrder`].
    #[error("{reader:?} received {next} but not {skipped}, in one poll: {in_one_poll}")]
    Skipped {
        /// The reader.
        reader: Reader,
        /// The record that only other readers received.
        skipped: PartitionOffset,
        /// The next record of this reader.
        next: PartitionOffset,
        /// True if the records before and after the skipped one are from one poll.
        in_one_poll: bool,
    },
    /// See [`Invariant::SendsInOrder`].
    #[error("{producer:?} sent to {later}, then to {earlier}")]
    SendsReordered {
        /// The producer.
        producer: Producer,
        /// The offset of a send.
        later: PartitionOffset,
        /// The lower offset of a later send.
        earlier: PartitionOffset,
    },
    /// See [`Invariant::CommitsDoNotGoBack`].
    #[error("group {group:?} committed {committed}, then found {found:?}")]
    CommitLost {
        /// The group.
        group: GroupName,
        /// The highest acknowledged commit.
        committed: PartitionOffset,
        /// The offset that was fetched later.
        found: Option<i64>,
    },
    /// See [`Invariant::WatermarksDoNotGoBack`].
    #[error("{observer:?} of {partition}: {now:?} after {before:?}")]
    WatermarksWentBack {
        /// The observer.
        observer: Observer,
        /// The partition.
        partition: i32,
        /// The watermarks of a response.
        before: Watermarks,
        /// Those of the next response; equal to `before` if one response is inconsistent.
        now: Watermarks,
    },
    /// See [`Invariant::TimestampLookupsAgree`].
    #[error(
        "{partition}: timestamp {timestamp} is at {found:?}, timestamp {other} was at {before}"
    )]
    TimestampLookupsDisagree {
        /// The partition.
        partition: i32,
        /// The requested timestamp.
        timestamp: i64,
        /// The offset found.
        found: Option<i64>,
        /// A timestamp requested before.
        other: i64,
        /// The offset found for it.
        before: i64,
    },
    /// See [`Invariant::AcksMatchReads`].
    #[error("{value:?} was acknowledged at {acked} and is at {read}")]
    AckMismatch {
        /// The value.
        value: String,
        /// The acknowledged offset.
        acked: PartitionOffset,
        /// The offset at which it is read.
        read: PartitionOffset,
    },
    /// See [`Invariant::CompleteRead`].
    #[error("no reader read all partitions at the end")]
    IncompleteRead,
}

impl Violation {
    /// Returns the violated invariant.
    #[must_use]
    pub fn invariant(&self) -> Invariant {
        match self {
            Self::Lost { .. } => Invariant::NoLostWrite,
            Self::TwoValues { .. } => Invariant::OneValuePerOffset,
            Self::TwoPlaces { .. } => Invariant::OneOffsetPerValue,
            Self::RejectedRead { .. } => Invariant::NoRejectedRead,
            Self::NeverSent { .. } => Invariant::OnlySentValues,
            Self::OffsetsNotIncreasing { in_one_poll, .. } | Self::Skipped { in_one_poll, .. } => {
                match in_one_poll {
                    true => Invariant::PollsInOrder,
                    false => Invariant::ReadersInOrder,
                }
            }
            Self::SendsReordered { .. } => Invariant::SendsInOrder,
            Self::CommitLost { .. } => Invariant::CommitsDoNotGoBack,
            Self::WatermarksWentBack { .. } => Invariant::WatermarksDoNotGoBack,
            Self::TimestampLookupsDisagree { .. } => Invariant::TimestampLookupsAgree,
            Self::AckMismatch { .. } => Invariant::AcksMatchReads,
            Self::IncompleteRead => Invariant::CompleteRead,
        }
    }
}
