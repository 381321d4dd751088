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
pub(super) type LookUp<A> = Shared<BoxFuture<'static, Result<A, String>>>;

/// What is known of the time of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// The source's change number before it was asked.
    pub(super) seq: u64,
    /// The look-up's number.
    pub(super) sent: u64,
}

/// When a request arrived, and until when it may wait.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The source's change number then, and the newest look-up.
    pub(super) at: Stamp,
    /// On the cache's clock.
    pub(super) deadline_ms: u64,
}

/// What may have made an answer untrue since it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Only a registry that is another one.
    Reset,
    /// A change that may be heard of late.
    Change,
    /// A change, even one that was not heard of yet: a "no" that would be final.
    Unheard,
}

/// The look-ups under way, one a key.
#[derive(Debug)]
pub(super) struct UnderWay<K, A: Clone> {
    by_key: HashMap<K, LookUp<A>>,
}

impl<K: Eq + Hash, A: Clone> UnderWay<K, A> {
    /// The one of a key.
    pub(super) fn of<Q>(&self, key: &Q) -> Option<LookUp<A>>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.by_key.get(key).cloned()
    }

    /// Adds one; there is none of its key.
    pub(super) fn add(&mut self, key: K, look_up: LookUp<A>) {
        self.by_key.insert(key, look_up);
    }

    /// Takes one out once it is answered.
    pub(super) fn done(&mut self, key: &K) {
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
pub(super) struct Pace {
    per_id: usize,
    in_all: usize,
    /// When, in ms, and for which id, within the last second; at most `in_all`.
    sent: VecDeque<(u64, i32)>,
}

impl Pace {
    pub(super) fn new(per_id: usize, in_all: usize) -> Self {
        Self {
            per_id,
            in_all,
            sent: VecDeque::new(),
        }
    }

    /// Whether a look-up of `id` may be sent now; if so it is counted.
    pub(super) fn admit(&mut self, id: i32, now_ms: u64) -> bool {
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
