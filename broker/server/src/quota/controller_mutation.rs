//! How fast topics come and go, over all clients: partitions made and deleted, as Kafka's
//! `controller_mutation_rate` counts them (KIP-599).
//!
//! Who asks at a version that knows THROTTLING_QUOTA_EXCEEDED is told at once how long to wait; an
//! older one waits here, for as long as its own time-out allows.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::metadata::MetadataError;
use avouch_net::Clock;

/// The longest that a request waits for its turn.
const PATIENCE_MAX: Duration = Duration::from_secs(10);

/// What is left to be made and deleted.
#[derive(Debug)]
pub(crate) struct Mutations(Mutex<Bucket>);

/// Thousandths of partitions, filled up with time. Pure.
#[derive(Debug)]
struct Bucket {
    per_second: i64,
    full: i64,
    left: i64,
    at_ms: u64,
}

/// One request's dealings with it.
#[derive(Debug)]
pub(crate) struct Turn {
    /// None when it does not wait.
    patience: Option<Duration>,
    throttle_ms: u64,
}

impl Turn {
    /// The turn of a request that is told to come again.
    pub(crate) fn told() -> Self {
        Self {
            patience: None,
            throttle_ms: 0,
        }
    }

    /// The turn of a request that waits for up to `timeout_ms`.
    pub(crate) fn waiting(timeout_ms: i32) -> Self {
        let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
        Self {
            patience: Some(timeout.min(PATIENCE_MAX)),
            throttle_ms: 0,
        }
    }

    /// For how long the request's client should keep back.
    pub(crate) fn throttle_time_ms(&self) -> i32 {
        i32::try_from(self.throttle_ms).unwrap_or(i32::MAX)
    }
}

impl Mutations {
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let full = i64::from(burst.max(1)) * 1_000;
        Self(Mutex::new(Bucket {
            per_second: per_second.max(1).into(),
            full,
            left: full,
            at_ms: 0,
        }))
    }

    /// Takes `partitions`.
    ///
    /// # Errors
    /// When there were too many before and it is not this request's way to wait until there were
    /// not, or not for so long.
    pub(crate) async fn take(
        &self,
        clock: Clock,
        turn: &mut Turn,
        partitions: usize,
    ) -> Result<(), MetadataError> {
        loop {
            let Err(wait_ms) = self.try_take(clock.monotonic_ms(), partitions) else {
                return Ok(());
            };
            let wait = Duration::from_millis(wait_ms);
            match turn.patience.as_mut() {
                None => {
                    turn.throttle_ms = turn.throttle_ms.max(wait_ms);
                    return Err(MetadataError::Throttled { wait_ms });
                }
                Some(patience) => {
                    let left = patience.checked_sub(wait);
                    *patience = left.ok_or(MetadataError::NotInTime { wait_ms })?;
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    fn try_take(&self, now_ms: u64, partitions: usize) -> Result<(), u64> {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.try_take(now_ms, partitions)
    }
}

impl Bucket {
    /// Takes `partitions` if anything is left, however little; else says in how many ms there will
    /// be.
    fn try_take(&mut self, now_ms: u64, partitions: usize) -> Result<(), u64> {
        let passed = i64::try_from(now_ms.saturating_sub(self.at_ms)).unwrap_or(i64::MAX);
        self.at_ms = now_ms;
        let filled = passed.saturating_mul(self.per_second);
        self.left = self.left.saturating_add(filled).min(self.full);
        if self.left <= 0 {
            let wait_ms = self.left.unsigned_abs() / self.per_second.unsigned_abs() + 1;
            return Err(wait_ms);
        }
        let taken = i64::try_from(partitions).unwrap_or(i64::MAX);
        self.left = self.left.saturating_sub(taken.saturating_mul(1_000));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: broker/input-10b
    #[test]
    fn a_burst_passes_and_then_so_many_a_second_a_large_topic_in_one_piece() {
        let mut bucket = Bucket {
            per_second: 10,
            full: 20_000,
            left: 20_000,
            at_ms: 0,
        };
        for (now_ms, partitions, taken) in [
            (0, 19, Ok(())),
            (0, 5, Ok(())),
            (0, 1, Err(401)),
            (400, 1, Err(1)),
            (401, 1, Ok(())),
            (60_000, 20, Ok(())),
            (60_000, 1, Err(1)),
        ] {
            assert_eq!(bucket.try_take(now_ms, partitions), taken, "at {now_ms}");
        }
    }
}
