//! The clock of a broker. Code outside the shell takes the time as an argument.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use avouch_protocol::types::TimestampMs;

/// Wall time for records and monotonic time for timeouts.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    started: Instant,
    started_at: TimestampMs,
}

impl Clock {
    /// Starts a clock at monotonic time zero.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the shell's clock")]
    pub fn start() -> Self {
        Self {
            started: Instant::now(),
            started_at: system_time(),
        }
    }

    /// Returns the milliseconds since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> TimestampMs {
        system_time()
    }

    /// Returns the time since the clock started; never goes back.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Returns milliseconds since the Unix epoch that never step back, even if the system clock is
    /// set: the start time plus the monotonic time since.
    #[must_use]
    pub fn steady(&self) -> TimestampMs {
        // The monotonic clock is not affected by changes of the wall clock.
        let passed = i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX);
        TimestampMs(self.started_at.0.saturating_add(passed))
    }

    /// Returns the milliseconds since the clock started; never goes back.
    #[must_use]
    pub fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the shell's clock")]
fn system_time() -> TimestampMs {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    TimestampMs(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}
