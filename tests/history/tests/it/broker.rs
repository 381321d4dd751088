//! In-memory broker with a switchable bug.
//!
//! A bug triggers at some of its opportunities, chosen by a seeded generator, and counts them.

use std::collections::{BTreeMap, BTreeSet};

use avouch_history::{Invariant, Watermarks};

/// A bug that violates one invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    /// An acknowledged record is lost before it is read.
    LosesAcked,
    /// One reader receives different bytes at an offset than the others.
    ChangesBytes,
    /// A retry is stored again.
    StoresTwice,
    /// A rejected record is stored.
    StoresRejected,
    /// A record that was never sent is stored.
    StoresUnsent,
    /// Two records of a poll are swapped.
    SwapsInPoll,
    /// A record that other readers receive is missing in a poll.
    SkipsInPoll,
    /// A poll starts after the expected offset.
    SkipsBetweenPolls,
    /// A poll starts before the expected offset.
    RepeatsBetweenPolls,
    /// Of two records in flight the second is stored first.
    Reorders,
    /// A commit is acknowledged but not stored.
    ForgetsCommits,
    /// An old high watermark is returned.
    WatermarkBack,
    /// The returned last stable offset is above the high watermark.
    WatermarksCross,
    /// A timestamp lookup returns the record after the correct one.
    TimeTooLate,
    /// An acknowledgement has offset 0.
    AcksZero,
}

pub(crate) const BUGS: [Bug; 15] = [
    Bug::LosesAcked,
    Bug::ChangesBytes,
    Bug::StoresTwice,
    Bug::StoresRejected,
    Bug::StoresUnsent,
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
            Self::ChangesBytes => Invariant::OneValuePerOffset,
            Self::StoresTwice => Invariant::OneOffsetPerValue,
            Self::StoresRejected => Invariant::NoRejectedRead,
            Self::StoresUnsent => Invariant::OnlySentValues,
            Self::SwapsInPoll | Self::SkipsInPoll => Invariant::PollsInOrder,
            Self::SkipsBetweenPolls | Self::RepeatsBetweenPolls => Invariant::ReadersInOrder,
            Self::Reorders => Invariant::SendsInOrder,
            Self::ForgetsCommits => Invariant::CommitsDoNotGoBack,
            Self::WatermarkBack | Self::WatermarksCross => Invariant::WatermarksDoNotGoBack,
            Self::TimeTooLate => Invariant::TimestampLookupsAgree,
            Self::AcksZero => Invariant::AcksMatchReads,
        }
    }
}

/// SplitMix64 generator.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub u64);

impl Random {
    /// Returns a number in `0..bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).expect("numbers here are small")
    }
}

/// A partition; `None` is a lost record.
#[derive(Debug, Default)]
pub(crate) struct Partition {
    log: Vec<Option<String>>,
    log_start: usize,
    /// First offset of each value, used to recognize retries.
    places: BTreeMap<String, usize>,
    read: BTreeSet<usize>,
    returned: Option<Watermarks>,
    /// Results of timestamp lookups.
    found: BTreeMap<i64, i64>,
}

#[derive(Debug)]
pub(crate) struct Broker {
    bug: Option<Bug>,
    random: Random,
    pub(crate) triggers: u64,
    partitions: Vec<Partition>,
    commits: BTreeMap<i32, i64>,
}

impl Broker {
    pub(crate) fn new(seed: u64, bug: Option<Bug>, partitions: usize) -> Self {
        Self {
            bug,
            random: Random(seed ^ 0x5eed),
            triggers: 0,
            partitions: (0..partitions).map(|_| Partition::default()).collect(),
            commits: BTreeMap::new(),
        }
    }

    fn triggers(&mut self, bug: Bug, possible: bool) -> bool {
        let triggers = self.bug == Some(bug) && possible && self.random.below(3) == 0;
        self.triggers += u64::from(triggers);
        triggers
    }

    /// Returns true if two sends in flight are to be swapped.
    pub(crate) fn reorders(&mut self) -> bool {
        self.triggers(Bug::Reorders, true)
    }

    /// Stores a value, or recognizes a retry, and returns its offset.
    pub(crate) fn produce(&mut self, partition: usize, value: &str) -> i64 {
        if self.triggers(Bug::StoresUnsent, true) {
            let unsent = format!("unsent {}", self.triggers);
            self.partitions[partition].log.push(Some(unsent));
        }
        let known = self.partitions[partition].places.get(value).copied();
        let again = self.triggers(Bug::StoresTwice, known.is_some());
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

    /// Returns the offset in the acknowledgement of a stored value.
    pub(crate) fn ack(&mut self, partition: usize, offset: i64) -> i64 {
        let at = usize::try_from(offset).expect("numbers here are small");
        let unread = !self.partitions[partition].read.contains(&at);
        if self.triggers(Bug::LosesAcked, unread) {
            self.partitions[partition].log[at] = None;
        }
        if self.triggers(Bug::AcksZero, offset > 0) {
            return 0;
        }
        offset
    }

    /// Rejects a value.
    pub(crate) fn reject(&mut self, partition: usize, value: &str) {
        if self.triggers(Bug::StoresRejected, true) {
            self.partitions[partition].log.push(Some(value.to_owned()));
        }
    }

    /// Returns up to `max` records from `from` on. `correct` disables bugs of reads.
    pub(crate) fn fetch(
        &mut self,
        partition: usize,
        from: i64,
        max: usize,
        correct: bool,
    ) -> Vec<(i64, String)> {
        let mut from = usize::try_from(from).expect("numbers here are small");
        let log_start = self.partitions[partition].log_start;
        let end = self.partitions[partition].log.len();
        let is_stored = |at: usize| {
            self.partitions[partition]
                .log
                .get(at)
                .is_some_and(Option::is_some)
        };
        let (follows, more) = (from > log_start, from + 1 < end);
        let skippable = follows && more && is_stored(from);
        let repeatable = follows && is_stored(from - 1);
        if !correct && self.triggers(Bug::SkipsBetweenPolls, skippable) {
            from += 1;
        } else if !correct && self.triggers(Bug::RepeatsBetweenPolls, repeatable) {
            from -= 1;
        }
        let partition = &mut self.partitions[partition];
        let from = from.max(partition.log_start);
        let stored = (from..end).filter_map(|at| Some((at, partition.log[at].clone()?)));
        let mut records: Vec<_> = stored.take(max).collect();
        partition.read.extend(records.iter().map(|(at, _)| *at));
        if !correct {
            self.corrupt(&mut records);
        }
        records
            .into_iter()
            .map(|(at, value)| (i64::try_from(at).expect("numbers here are small"), value))
            .collect()
    }

    fn corrupt(&mut self, records: &mut Vec<(usize, String)>) {
        if self.triggers(Bug::ChangesBytes, !records.is_empty()) {
            records[0].1.push('!');
        }
        if self.triggers(Bug::SwapsInPoll, records.len() > 1) {
            records.swap(0, 1);
        }
        if self.triggers(Bug::SkipsInPoll, records.len() > 2) {
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
        let mut watermarks = Watermarks {
            log_start: self.log_start(partition),
            last_stable: end,
            high_watermark: end,
        };
        let before = self.partitions[partition].returned;
        let grown = before.is_some_and(|before| before.high_watermark > 0);
        if self.triggers(Bug::WatermarkBack, grown) {
            watermarks.high_watermark = watermarks.log_start;
            watermarks.last_stable = watermarks.log_start;
        }
        if self.triggers(Bug::WatermarksCross, true) {
            watermarks.last_stable = watermarks.high_watermark + 1;
        }
        self.partitions[partition].returned = Some(watermarks);
        watermarks
    }

    /// Returns the first record at or after a timestamp. Timestamps are 10 apart, some out of
    /// order.
    pub(crate) fn find_time(&mut self, partition: usize, timestamp: i64) -> Option<i64> {
        let start = self.log_start(partition);
        let end = start.max(self.partitions[partition].log.len().try_into().ok()?);
        let time_of = |at: i64| at * 10 - at % 3 * 15;
        let found = (start..end).find(|at| time_of(*at) >= timestamp)?;
        let known = self.partitions[partition].found.insert(timestamp, found);
        if self.triggers(Bug::TimeTooLate, known == Some(found)) {
            return Some(found + 1);
        }
        Some(found)
    }

    pub(crate) fn commit(&mut self, partition: i32, offset: i64) {
        let known = self.commits.get(&partition).copied();
        let advances = known.is_none_or(|known| known < offset);
        if !self.triggers(Bug::ForgetsCommits, advances) {
            self.commits.insert(partition, offset);
        }
    }

    pub(crate) fn committed(&self, partition: i32) -> Option<i64> {
        self.commits.get(&partition).copied()
    }
}
