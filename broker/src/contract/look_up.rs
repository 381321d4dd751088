//! Look-ups under way: shared by everyone who may use their answer, and kept at a pace.
//!
//! The registry's change number is the clock. A look-up is stamped with the number read before it
//! was sent, a request with the number at its arrival; an answer counts for a request when its
//! stamp is not the lower one. So a "no" never counts for a request that arrived after a change
//! that the "no" may not have seen.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use futures_util::future::{BoxFuture, Shared};

/// A look-up that anybody can wait for.
pub(super) type LookUp<A> = Shared<BoxFuture<'static, Result<A, String>>>;

/// The look-ups under way, the newest one a key.
#[derive(Debug)]
pub(super) struct UnderWay<K, A: Clone> {
    by_key: HashMap<K, (u64, LookUp<A>)>,
}

impl<K: Eq + Hash, A: Clone> UnderWay<K, A> {
    /// One whose answer counts for a request that arrived at `seq`.
    pub(super) fn joinable<Q>(&self, key: &Q, seq: u64) -> Option<LookUp<A>>
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let (sent_seq, look_up) = self.by_key.get(key)?;
        (*sent_seq >= seq).then(|| look_up.clone())
    }

    /// Adds one, in place of an older one, whose own waiters still hear its answer.
    pub(super) fn add(&mut self, key: K, sent_seq: u64, look_up: LookUp<A>) {
        self.by_key.insert(key, (sent_seq, look_up));
    }

    /// Takes one out once it is answered, unless a newer one took its place.
    pub(super) fn done(&mut self, key: &K, sent_seq: u64) {
        if self
            .by_key
            .get(key)
            .is_some_and(|(newest, _)| *newest == sent_seq)
        {
            self.by_key.remove(key);
        }
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
