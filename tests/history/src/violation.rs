//! What a history can show to be wrong, and which invariant that breaks.

use thiserror::Error;

use crate::event::{GroupName, Observer, Place, Producer, Reader, Watermarks};

/// What a log promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// What was acknowledged, or seen by anyone, is there in the end.
    NoLostWrite,
    /// A place has one value, for everyone, for ever.
    OneValueAPlace,
    /// A value has one place.
    OnePlaceAValue,
    /// What was refused is not read.
    NoRefusedRead,
    /// What is read was sent.
    NoInvention,
    /// Inside one poll offsets grow, and no visible one is left out.
    PollsInOrder,
    /// The same from one poll of a reader to its next.
    ReadersInOrder,
    /// Later sends of a producer to a partition get higher offsets.
    SendsInOrder,
    /// A committed offset does not go back.
    CommitsStay,
    /// Watermarks do not go back, and log start <= last stable <= high watermark.
    WatermarksGrow,
    /// The first record at or after a time stays that as long as it is there; that of a later time
    /// does not stand before it.
    TimesAgree,
    /// An ack names the place where the value is read.
    AcksTellThePlace,
    /// Somebody read everything in the end; else there is nothing to judge by.
    ReadToTheEnd,
}

impl Invariant {
    /// Its number in the plan of proofs, where it has one.
    #[must_use]
    pub fn number(self) -> Option<&'static str> {
        match self {
            Self::NoLostWrite => Some("I1"),
            Self::OneValueAPlace => Some("I2"),
            Self::OnePlaceAValue => Some("I3"),
            Self::NoRefusedRead => Some("I4"),
            Self::PollsInOrder => Some("I6"),
            Self::ReadersInOrder => Some("I7"),
            Self::SendsInOrder => Some("I8"),
            Self::CommitsStay => Some("I11"),
            Self::WatermarksGrow | Self::TimesAgree => Some("I12"),
            Self::AcksTellThePlace => Some("I13"),
            Self::NoInvention | Self::ReadToTheEnd => None,
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// See [`Invariant::NoLostWrite`].
    #[error("{value:?} was at {at} and is not there in the end")]
    Lost {
        /// What.
        value: String,
        /// Where it was acknowledged or seen.
        at: Place,
    },
    /// See [`Invariant::OneValueAPlace`].
    #[error("{at} holds {first:?} and {second:?}")]
    TwoValues {
        /// Where.
        at: Place,
        /// What was seen or acknowledged there first.
        first: String,
        /// What else.
        second: String,
    },
    /// See [`Invariant::OnePlaceAValue`].
    #[error("{value:?} is at {first} and at {second}")]
    TwoPlaces {
        /// What.
        value: String,
        /// Where it was seen first.
        first: Place,
        /// Where else.
        second: Place,
    },
    /// See [`Invariant::NoRefusedRead`].
    #[error("{value:?} was refused and is at {at}")]
    RefusedRead {
        /// What.
        value: String,
        /// Where.
        at: Place,
    },
    /// See [`Invariant::NoInvention`].
    #[error("{value:?} at {at} was never sent")]
    Invented {
        /// What.
        value: String,
        /// Where.
        at: Place,
    },
    /// See [`Invariant::PollsInOrder`] and [`Invariant::ReadersInOrder`].
    #[error("{reader:?} got {at} after {after}, in one poll: {in_one_poll}")]
    PolledBack {
        /// Who.
        reader: Reader,
        /// What came later.
        at: Place,
        /// What came before it.
        after: Place,
        /// Whether both came in one poll.
        in_one_poll: bool,
    },
    /// See [`Invariant::PollsInOrder`] and [`Invariant::ReadersInOrder`].
    #[error("{reader:?} got {next} but never {skipped}, in one poll: {in_one_poll}")]
    Skipped {
        /// Who.
        reader: Reader,
        /// What others saw and it did not.
        skipped: Place,
        /// What it got next.
        next: Place,
        /// Whether what came before and after it came in one poll.
        in_one_poll: bool,
    },
    /// See [`Invariant::SendsInOrder`].
    #[error("{producer:?} sent to {later}, then to {earlier}")]
    SentBack {
        /// Who.
        producer: Producer,
        /// The place of a send.
        later: Place,
        /// The place of a later one.
        earlier: Place,
    },
    /// See [`Invariant::CommitsStay`].
    #[error("group {group:?} committed {committed}, then found {found:?}")]
    CommitLost {
        /// Whose.
        group: GroupName,
        /// The highest acknowledged commit.
        committed: Place,
        /// What was answered later.
        found: Option<i64>,
    },
    /// See [`Invariant::WatermarksGrow`].
    #[error("{observer:?} of {partition}: {now:?} after {before:?}")]
    WatermarksBack {
        /// Who asked.
        observer: Observer,
        /// Of which partition.
        partition: i32,
        /// An answer.
        before: Watermarks,
        /// The next one; the same if it contradicts itself.
        now: Watermarks,
    },
    /// See [`Invariant::TimesAgree`].
    #[error("{partition}: time {timestamp} is found at {found:?}, time {other} was at {before}")]
    TimesDisagree {
        /// Of which partition.
        partition: i32,
        /// What was asked for.
        timestamp: i64,
        /// The answer.
        found: Option<i64>,
        /// What was asked for before.
        other: i64,
        /// The answer of then.
        before: i64,
    },
    /// See [`Invariant::AcksTellThePlace`].
    #[error("{value:?} was acknowledged at {acked} and is at {read}")]
    AckedElsewhere {
        /// What.
        value: String,
        /// Where it is said to be.
        acked: Place,
        /// Where it is.
        read: Place,
    },
    /// See [`Invariant::ReadToTheEnd`].
    #[error("nobody read everything in the end")]
    Unread,
}

impl Violation {
    /// What it breaks.
    #[must_use]
    pub fn invariant(&self) -> Invariant {
        match self {
            Self::Lost { .. } => Invariant::NoLostWrite,
            Self::TwoValues { .. } => Invariant::OneValueAPlace,
            Self::TwoPlaces { .. } => Invariant::OnePlaceAValue,
            Self::RefusedRead { .. } => Invariant::NoRefusedRead,
            Self::Invented { .. } => Invariant::NoInvention,
            Self::PolledBack { in_one_poll, .. } | Self::Skipped { in_one_poll, .. } => {
                match in_one_poll {
                    true => Invariant::PollsInOrder,
                    false => Invariant::ReadersInOrder,
                }
            }
            Self::SentBack { .. } => Invariant::SendsInOrder,
            Self::CommitLost { .. } => Invariant::CommitsStay,
            Self::WatermarksBack { .. } => Invariant::WatermarksGrow,
            Self::TimesDisagree { .. } => Invariant::TimesAgree,
            Self::AckedElsewhere { .. } => Invariant::AcksTellThePlace,
            Self::Unread => Invariant::ReadToTheEnd,
        }
    }
}
