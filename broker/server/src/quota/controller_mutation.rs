//! The controller mutation quota (KIP-599): the rate at which partitions are created and deleted,
//! over all clients, as Kafka's `controller_mutation_rate` counts them.
//!
//! A request of a version with THROTTLING_QUOTA_EXCEEDED is rejected at once with the time to wait;
//! one of an older version waits, as long as its own timeout allows.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use avouch_net::Clock;

use crate::metadata::MetadataError;

/// Maximum time that a request waits for the quota.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The quota shared by all requests.
#[derive(Debug)]
pub(crate) struct MutationQuota(Mutex<TokenBucket>);

/// A token bucket of thousandths of partitions. Pure.
#[derive(Debug)]
struct TokenBucket {
    per_second: i64,
    capacity: i64,
    left: i64,
    at_ms: u64,
}

/// The reaction of one request to an exceeded quota.
#[derive(Debug)]
pub(crate) struct Throttling {
    /// The time that the request can still wait; `None` if it is rejected instead.
    wait_left: Option<Duration>,
    /// The throttle time of the request's response.
    throttle_time: ThrottleTime,
}

/// The throttle time of a response in ms, shared by the request and the code that encodes it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ThrottleTime(Arc<AtomicI32>);

impl ThrottleTime {
    /// Raises the throttle time to `time_ms`.
    pub(crate) fn raise(&self, time_ms: u64) {
        let time_ms = i32::try_from(time_ms).unwrap_or(i32::MAX);
        // Relaxed: the same task reads it, after the handler has returned.
        self.0.fetch_max(time_ms, Ordering::Relaxed);
    }

    /// Returns the throttle time in ms.
    pub(crate) fn ms(&self) -> i32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Throttling {
    /// Creates the throttling of a request that is rejected when the quota is exceeded.
    pub(crate) fn reject(throttle_time: ThrottleTime) -> Self {
        Self {
            wait_left: None,
            throttle_time,
        }
    }

    /// Creates the throttling of a request that waits for up to `timeout_ms`.
    pub(crate) fn wait(timeout_ms: i32) -> Self {
        let timeout = Duration::from_millis(u64::try_from(timeout_ms).unwrap_or(0));
        Self {
            wait_left: Some(timeout.min(WAIT_MAX)),
            throttle_time: ThrottleTime::default(),
        }
    }
}

impl MutationQuota {
    /// Creates a quota of `per_second` partitions with bursts of up to `burst`.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let capacity = i64::from(burst.max(1)) * 1_000;
        Self(Mutex::new(TokenBucket {
            per_second: per_second.max(1).into(),
            capacity,
            left: capacity,
            at_ms: 0,
        }))
    }

    /// Uses `partitions` of the quota.
    ///
    /// # Errors
    /// If the quota is exceeded and the request does not wait, or cannot wait long enough.
    pub(crate) async fn acquire(
        &self,
        clock: Clock,
        throttling: &mut Throttling,
        partitions: usize,
    ) -> Result<(), MetadataError> {
        loop {
            let Err(wait_ms) = self.try_acquire(clock.monotonic_ms(), partitions) else {
                return Ok(());
            };
            let wait = Duration::from_millis(wait_ms);
            match throttling.wait_left.as_mut() {
                None => {
                    throttling.throttle_time.raise(wait_ms);
                    return Err(MetadataError::Throttled { wait_ms });
                }
                Some(wait_left) => {
                    let left = wait_left.checked_sub(wait);
                    *wait_left = left.ok_or(MetadataError::QuotaTimeout { wait_ms })?;
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    fn try_acquire(&self, now_ms: u64, partitions: usize) -> Result<(), u64> {
        // Held for arithmetic only, never across an await.
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.try_acquire(now_ms, partitions)
    }
}

impl TokenBucket {
    /// Uses `partitions` if any token is left, otherwise returns the ms until one is.
    fn try_acquire(&mut self, now_ms: u64, partitions: usize) -> Result<(), u64> {
        // The monotonic clock never decreases; saturating covers threads that read it in turn.
        let passed = i64::try_from(now_ms.saturating_sub(self.at_ms)).unwrap_or(i64::MAX);
        self.at_ms = now_ms;
        let filled = passed.saturating_mul(self.per_second);
        self.left = self.left.saturating_add(filled).min(self.capacity);
        if self.left <= 0 {
            let wait_ms = self.left.unsigned_abs() / self.per_second.unsigned_abs() + 1;
            return Err(wait_ms);
        }
        // The bucket may go below zero: a topic larger than the burst is created in one piece and
        // later requests wait for it.
        let used = i64::try_from(partitions).unwrap_or(i64::MAX);
        self.left = self.left.saturating_sub(used.saturating_mul(1_000));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: broker/input-10b
    #[test]
    fn burst_passes_then_rate_applies() {
        let mut bucket = TokenBucket {
            per_second: 10,
            capacity: 20_000,
            left: 20_000,
            at_ms: 0,
        };
        for (now_ms, partitions, expected) in [
            (0, 19, Ok(())),
            (0, 5, Ok(())),
            (0, 1, Err(401)),
            (400, 1, Err(1)),
            (401, 1, Ok(())),
            (60_000, 20, Ok(())),
            (60_000, 1, Err(1)),
        ] {
            assert_eq!(
                bucket.try_acquire(now_ms, partitions),
                expected,
                "at {now_ms}"
            );
        }
    }
}
