//! A broker in memory, with a bug on a switch.
//!
//! A bug strikes at some of its chances, by the toss of a seed, and counts its strikes.

use std::collections::{BTreeMap, BTreeSet};

use avouch_history::{Invariant, Watermarks};

/// One way to break a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// An acknowledged record vanishes before anybody reads it.
    LosesAcked,
    /// One reader gets other bytes at a place than the others.
    ChangesBytes,
    /// A retry is stored again.
    StoresTwice,
    /// A refused record is stored.
    StoresRefused,
    /// A record that nobody sent is stored.
    Invents,
    /// Two records of a poll change places.
    SwapsInPoll,
    /// A record is left out of a poll that others get it in.
    SkipsInPoll,
    /// A poll begins behind where it should.
    SkipsBetweenPolls,
    /// A poll begins before where it should.
    RepeatsBetweenPolls,
    /// Of two records in flight the second is stored first.
    Reorders,
    /// A commit is acknowledged and forgotten.
    ForgetsCommits,
    /// The high watermark is answered as it was long ago.
    WatermarkBack,
    /// The last stable offset is answered above the high watermark.
    WatermarksCross,
    /// A time is found one record too late.
    TimeTooLate,
    /// An ack says offset 0.
    AcksZero,
}

pub(crate) const BUGS: [Bug; 15] = [
    Bug::LosesAcked,
    Bug::ChangesBytes,
    Bug::StoresTwice,
    Bug::StoresRefused,
    Bug::Invents,
    Bug::SwapsInPoll,
    Bug::SkipsInPoll,
    Bug::SkipsBetweenPolls,
    Bug::RepeatsBetweenPolls,
    Bug::Reorders,
    Bug::ForgetsCommits,
    Bug::WatermarkBack,
    Bug::WatermarksCross,
    Bug::TimeTooLate,
    Bug::AcksZero,
];

impl Bug {
    pub(crate) fn breaks(self) -> Invariant {
        match self {
            Self::LosesAcked => Invariant::NoLostWrite,
            Self::ChangesBytes => Invariant::OneValueAPlace,
            Self::StoresTwice => Invariant::OnePlaceAValue,
            Self::StoresRefused => Invariant::NoRefusedRead,
            Self::Invents => Invariant::NoInvention,
            Self::SwapsInPoll | Self::SkipsInPoll => Invariant::PollsInOrder,
            Self::SkipsBetweenPolls | Self::RepeatsBetweenPolls => Invariant::ReadersInOrder,
            Self::Reorders => Invariant::SendsInOrder,
            Self::ForgetsCommits => Invariant::CommitsStay,
            Self::WatermarkBack | Self::WatermarksCross => Invariant::WatermarksGrow,
            Self::TimeTooLate => Invariant::TimesAgree,
            Self::AcksZero => Invariant::AcksTellThePlace,
        }
    }
}

/// Splitmix64.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub u64);

impl Dice {
    /// One of `0..bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).expect("numbers here are small")
    }
}

/// One partition: `None` where a record vanished.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    log: Vec<Option<String>>,
    log_start: usize,
    /// Where each value was stored first, which is what makes a retry known.
    places: BTreeMap<String, usize>,
    read: BTreeSet<usize>,
    answered: Option<Watermarks>,
    /// By time, what was answered to whoever asked for it.
    found: BTreeMap<i64, i64>,
}

#[derive(Debug)]
pub(crate) struct Broker {
    bug: Option<Bug>,
    dice: Dice,
    pub(crate) strikes: u64,
    partitions: Vec<Partition>,
    commits: BTreeMap<i32, i64>,
}

impl Broker {
    pub(crate) fn new(seed: u64, bug: Option<Bug>, partitions: usize) -> Self {
        Self {
            bug,
            dice: Dice(seed ^ 0x5eed),
            strikes: 0,
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
            commits: BTreeMap::new(),
        }
    }

    fn strikes(&mut self, bug: Bug, possible: bool) -> bool {
        let strikes = self.bug == Some(bug) && possible && self.dice.below(3) == 0;
        self.strikes += u64::from(strikes);
        strikes
    }

    /// Whether two sends in flight are to change places.
    pub(crate) fn reorders(&mut self) -> bool {
        self.strikes(Bug::Reorders, true)
    }

    /// Stores a value, or knows it from before; its offset.
    pub(crate) fn produce(&mut self, partition: usize, value: &str) -> i64 {
        if self.strikes(Bug::Invents, true) {
            let invented = format!("invention {}", self.strikes);
            self.partitions[partition].log.push(Some(invented));
        }
        let known = self.partitions[partition].places.get(value).copied();
        let again = self.strikes(Bug::StoresTwice, known.is_some());
        let partition = &mut self.partitions[partition];
        let offset = match known {
            Some(offset) => offset,
            None => partition.log.len(),
        };
        if known.is_none() || again {
            partition.log.push(Some(value.to_owned()));
        }
        partition.places.insert(value.to_owned(), offset);
        i64::try_from(offset).expect("numbers here are small")
    }

    /// What the ack of a stored value says.
    pub(crate) fn ack(&mut self, partition: usize, offset: i64) -> i64 {
        let at = usize::try_from(offset).expect("numbers here are small");
        let unread = !self.partitions[partition].read.contains(&at);
        if self.strikes(Bug::LosesAcked, unread) {
            self.partitions[partition].log[at] = None;
        }
        if self.strikes(Bug::AcksZero, offset > 0) {
            return 0;
        }
        offset
    }

    /// Refuses a value.
    pub(crate) fn refuse(&mut self, partition: usize, value: &str) {
        if self.strikes(Bug::StoresRefused, true) {
            self.partitions[partition].log.push(Some(value.to_owned()));
        }
    }

    /// Up to `most` records from `from` on. `honest` keeps a bug of reading away.
    pub(crate) fn fetch(
        &mut self,
        partition: usize,
        from: i64,
        most: usize,
        honest: bool,
    ) -> Vec<(i64, String)> {
        let mut from = usize::try_from(from).expect("numbers here are small");
        let log_start = self.partitions[partition].log_start;
        let end = self.partitions[partition].log.len();
        let is_there = |at: usize| {
            self.partitions[partition]
                .log
                .get(at)
                .is_some_and(Option::is_some)
        };
        let (follows, more) = (from > log_start, from + 1 < end);
        let skippable = follows && more && is_there(from);
        let repeatable = follows && is_there(from - 1);
        if !honest && self.strikes(Bug::SkipsBetweenPolls, skippable) {
            from += 1;
        } else if !honest && self.strikes(Bug::RepeatsBetweenPolls, repeatable) {
            from -= 1;
        }
        let partition = &mut self.partitions[partition];
        let from = from.max(partition.log_start);
        let there = (from..end).filter_map(|at| Some((at, partition.log[at].clone()?)));
        let mut records: Vec<_> = there.take(most).collect();
        partition.read.extend(records.iter().map(|(at, _)| *at));
        if !honest {
            self.spoil(&mut records);
        }
        records
            .into_iter()
            .map(|(at, value)| (i64::try_from(at).expect("numbers here are small"), value))
            .collect()
    }

    fn spoil(&mut self, records: &mut Vec<(usize, String)>) {
        if self.strikes(Bug::ChangesBytes, !records.is_empty()) {
            records[0].1.push('!');
        }
        if self.strikes(Bug::SwapsInPoll, records.len() > 1) {
            records.swap(0, 1);
        }
        if self.strikes(Bug::SkipsInPoll, records.len() > 2) {
            records.remove(1);
        }
    }

    pub(crate) fn delete_records(&mut self, partition: usize, below: usize) {
        let partition = &mut self.partitions[partition];
        partition.log_start = below.min(partition.log.len());
    }

    pub(crate) fn log_start(&self, partition: usize) -> i64 {
        i64::try_from(self.partitions[partition].log_start).expect("numbers here are small")
    }

    pub(crate) fn watermarks(&mut self, partition: usize) -> Watermarks {
        let end =
            i64::try_from(self.partitions[partition].log.len()).expect("numbers here are small");
        let mut answer = Watermarks {
            log_start: self.log_start(partition),
            last_stable: end,
            high_watermark: end,
        };
        let before = self.partitions[partition].answered;
        let grown = before.is_some_and(|before| before.high_watermark > 0);
        if self.strikes(Bug::WatermarkBack, grown) {
            answer.high_watermark = answer.log_start;
            answer.last_stable = answer.log_start;
        }
        if self.strikes(Bug::WatermarksCross, true) {
            answer.last_stable = answer.high_watermark + 1;
        }
        self.partitions[partition].answered = Some(answer);
        answer
    }

    /// The first record at or after a time. Records come ten apart, some of them out of order.
    pub(crate) fn find_time(&mut self, partition: usize, timestamp: i64) -> Option<i64> {
        let start = self.log_start(partition);
        let end = start.max(self.partitions[partition].log.len().try_into().ok()?);
        let time_of = |at: i64| at * 10 - at % 3 * 15;
        let found = (start..end).find(|at| time_of(*at) >= timestamp)?;
        let known = self.partitions[partition].found.insert(timestamp, found);
        if self.strikes(Bug::TimeTooLate, known == Some(found)) {
            return Some(found + 1);
        }
        Some(found)
    }

    pub(crate) fn commit(&mut self, partition: i32, offset: i64) {
        let known = self.commits.get(&partition).copied();
        let matters = known.is_none_or(|known| known < offset);
        if !self.strikes(Bug::ForgetsCommits, matters) {
            self.commits.insert(partition, offset);
        }
    }

    pub(crate) fn committed(&self, partition: i32) -> Option<i64> {
        self.commits.get(&partition).copied()
    }
}
