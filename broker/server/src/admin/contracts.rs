//! Contract violations.

use std::sync::Arc;

use avouch_contract::feed::{Feed, Page};
use avouch_net::Clock;

/// The feed of contract violations.
#[derive(Clone, Debug)]
pub(crate) struct Violations {
    feed: Arc<Feed>,
    clock: Clock,
}

impl Violations {
    /// Creates the service over the contracts' feed.
    pub(crate) fn new(feed: Arc<Feed>, clock: Clock) -> Self {
        Self { feed, clock }
    }

    /// Returns the violations with numbers above `since`, of one topic or of all, and the current
    /// time in ms on the clock of their `at_ms`.
    pub(crate) fn since(&self, since: u64, topic: Option<&str>) -> (Page, u64) {
        (self.feed.since(since, topic), self.clock.monotonic_ms())
    }
}
