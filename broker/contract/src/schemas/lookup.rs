//! Lookups in flight: shared by the requests that need them, limited in rate, and numbered.
//!
//! Lookups are numbered as they are sent, and a request records the newest number when it arrives.
//! A lookup with a higher number was sent after the request arrived, so its result is valid for the
//! request. A request that joins an older lookup may have to repeat it; repeated lookups are shared
//! again, so at most one lookup of a key is in flight.

use std::collections::VecDeque;

use avouch_registry_api::source::SourceError;
use futures_util::future::{BoxFuture, Shared};
use thiserror::Error;

/// A lookup that any number of requests can wait for.
pub(crate) type SharedLookup<A> = Shared<BoxFuture<'static, Result<A, LookupError>>>;

/// A failed lookup. A schema or subject that does not exist is a result, not an error.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LookupError {
    /// The registry could not be queried.
    #[error("{}", .0.reason)]
    Source(SourceError),
    /// The registry did not respond in time.
    #[error("no response within {wait_ms} ms")]
    Timeout {
        /// The maximum wait of a request.
        wait_ms: u64,
    },
    /// The rate limit of lookups is exceeded.
    #[error("schema id {id} is looked up too often, try again")]
    RateLimited {
        /// The schema id.
        id: i32,
    },
    /// The lookup ended without a result: it panicked, or the process is stopping.
    #[error("the lookup failed")]
    Aborted,
}

/// The state of the registry that the result of a lookup belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FetchedAt {
    /// The epoch of the id, or the source's change number for a subject, before the lookup was
    /// sent.
    pub(crate) epoch: u64,
    /// The number of the lookup.
    pub(crate) lookup: u64,
}

impl FetchedAt {
    /// The state of schemas from an earlier process: older than any epoch of this one.
    pub(crate) const RESTORED: Self = Self {
        epoch: 0,
        lookup: 0,
    };

    /// The freshness rule: returns whether the result of this lookup is valid for a request, given
    /// the epoch that the source has received. `is_immediate` states that the source receives
    /// changes before they are acknowledged.
    pub(crate) fn is_valid(
        self,
        epoch: u64,
        context: &RequestContext,
        staleness: Staleness,
        is_immediate: bool,
    ) -> bool {
        // Sent after the request arrived, so it saw everything that was acknowledged before.
        if self.lookup > context.lookup {
            return true;
        }
        // An older epoch means that a change to the id was received after the lookup was sent.
        self.epoch >= epoch
            && match staleness {
                Staleness::Received => true,
                Staleness::Unreceived => is_immediate,
            }
    }
}

/// The arrival of a request, and the time until which it may wait for the registry.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext {
    /// The source's change number at that time.
    pub(crate) seq: u64,
    /// The number of the newest lookup at that time.
    pub(crate) lookup: u64,
    /// On the cache's clock.
    pub(crate) deadline_ms: u64,
}

/// The changes that make the result of a lookup stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Staleness {
    /// Changes that the source has received.
    Received,
    /// Also changes that it may not have received yet: the result is negative, and final for the
    /// producer.
    Unreceived,
}

/// Limit of the lookups that are sent within any second.
#[derive(Debug)]
pub(crate) struct RateLimit {
    per_id: usize,
    total: usize,
    /// Time in ms and id of each lookup of the last second; at most `total`.
    sent: VecDeque<(u64, i32)>,
}

impl RateLimit {
    pub(crate) fn new(per_id: usize, total: usize) -> Self {
        Self {
            per_id,
            total,
            sent: VecDeque::new(),
        }
    }

    /// Returns whether a lookup of `id` may be sent now, and counts it if so.
    pub(crate) fn admit(&mut self, id: i32, now_ms: u64) -> bool {
        const SECOND_MS: u64 = 1_000;
        let is_past = |at: u64| now_ms.saturating_sub(at) >= SECOND_MS;
        while self.sent.front().is_some_and(|&(at, _)| is_past(at)) {
            self.sent.pop_front();
        }
        // `total` bounds the scan.
        let of_id = self.sent.iter().filter(|(_, sent)| *sent == id).count();
        let fits = self.sent.len() < self.total && of_id < self.per_id;
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
    fn rate_is_limited_over_any_second() {
        let mut limit = RateLimit::new(10, 100);
        let admitted =
            |limit: &mut RateLimit, id, now_ms| (0..50).filter(|_| limit.admit(id, now_ms)).count();
        assert_eq!(admitted(&mut limit, 1, 500), 10);
        assert_eq!(
            admitted(&mut limit, 1, 1_499),
            0,
            "no burst across a clock second"
        );
        let others: usize = (2..50).map(|id| admitted(&mut limit, id, 1_499)).sum();
        assert_eq!(others, 90);
        assert_eq!(
            admitted(&mut limit, 1, 1_500),
            10,
            "the first ten are a second old"
        );
        assert_eq!(admitted(&mut limit, 99, 1_500), 0);
    }
}
