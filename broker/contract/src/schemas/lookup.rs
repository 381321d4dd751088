//! Look-ups under way: shared by everyone who may use their answer, and kept at a pace.
//!
//! Look-ups are numbered as they are sent, and a request remembers the newest number when it comes:
//! a look-up with a higher one was sent after the request arrived, so what it says counts for it.
//! Whoever cannot use an answer that was under way before asks again when it is there, together
//! with all the others: one look-up a key is under way at a time.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use futures_util::future::{BoxFuture, Shared};

/// A look-up that anybody can wait for.
pub(crate) type LookUp<A> = Shared<BoxFuture<'static, Result<A, String>>>;

/// The state of the registry that the result of a lookup belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The epoch of the id, or the source's change number for a subject, before the lookup was
    /// sent.
    pub(crate) epoch: u64,
    /// The number of the lookup.
    pub(crate) sent: u64,
}

impl Stamp {
    /// The stamp of what an earlier process knew: no epoch of this one.
    pub(crate) const EARLIER: Self = Self { epoch: 0, sent: 0 };
}

/// When a request arrived, and until when it may wait.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The source's change number at that time.
    pub(crate) seq: u64,
    /// The number of the newest lookup at that time.
    pub(crate) sent: u64,
    /// On the cache's clock.
    pub(crate) deadline_ms: u64,
}

/// The changes that make the result of a lookup outdated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Changes that the source has received.
    Change,
    /// Also changes that it may not have received yet: the result is negative, and final for the
    /// producer.
    Unheard,
}

/// The look-ups under way, one a key.
#[derive(Debug)]
pub(crate) struct UnderWay<K, A: Clone> {
    by_key: HashMap<K, LookUp<A>>,
}

impl<K: Eq + Hash, A: Clone> UnderWay<K, A> {
    /// The one of a key.
    pub(crate) fn of<Q>(&self, key: &Q) -> Option<LookUp<A>>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.by_key.get(key).cloned()
    }

    /// Adds one; there is none of its key.
    pub(crate) fn add(&mut self, key: K, look_up: LookUp<A>) {
        self.by_key.insert(key, look_up);
    }

    /// Takes one out once it is answered.
    pub(crate) fn done(&mut self, key: &K) {
        self.by_key.remove(key);
    }
}

impl<K, A: Clone> Default for UnderWay<K, A> {
    fn default() -> Self {
        Self {
            by_key: HashMap::new(),
        }
    }
}

/// How many look-ups may be sent within any second.
#[derive(Debug)]
pub(crate) struct Pace {
    per_id: usize,
    in_all: usize,
    /// When, in ms, and for which id, within the last second; at most `in_all`.
    sent: VecDeque<(u64, i32)>,
}

impl Pace {
    pub(crate) fn new(per_id: usize, in_all: usize) -> Self {
        Self {
            per_id,
            in_all,
            sent: VecDeque::new(),
        }
    }

    /// Whether a look-up of `id` may be sent now; if so it is counted.
    pub(crate) fn admit(&mut self, id: i32, now_ms: u64) -> bool {
        const SECOND_MS: u64 = 1_000;
        while self
            .sent
            .front()
            .is_some_and(|(at, _)| now_ms.saturating_sub(*at) >= SECOND_MS)
        {
            self.sent.pop_front();
        }
        let of_id = self.sent.iter().filter(|(_, sent)| *sent == id).count();
        let fits = self.sent.len() < self.in_all && of_id < self.per_id;
        if fits {
            self.sent.push_back((now_ms, id));
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_look_ups_an_id_and_a_hundred_in_all_fit_any_second() {
        let mut pace = Pace::new(10, 100);
        let admitted =
            |pace: &mut Pace, id, now_ms| (0..50).filter(|_| pace.admit(id, now_ms)).count();
        assert_eq!(admitted(&mut pace, 1, 500), 10);
        assert_eq!(
            admitted(&mut pace, 1, 1_499),
            0,
            "no burst across a clock second"
        );
        let others: usize = (2..50).map(|id| admitted(&mut pace, id, 1_499)).sum();
        assert_eq!(others, 90);
        assert_eq!(
            admitted(&mut pace, 1, 1_500),
            10,
            "the first ten are a second ago"
        );
        assert_eq!(admitted(&mut pace, 99, 1_500), 0);
    }
}
