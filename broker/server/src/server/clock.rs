//! The broker's only clock. Everything else takes the time as an argument.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use avouch_protocol::types::TimestampMs;

/// Wall time for records and monotonic time for time-outs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    started: Instant,
    started_at: TimestampMs,
}

impl Clock {
    /// A clock whose monotonic time starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the shell's clock")]
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            started_at: system_time(),
        }
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub(crate) fn now(&self) -> TimestampMs {
        system_time()
    }

    /// Time since the clock started; never goes back.
    #[must_use]
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Milliseconds since the Unix epoch that never step back, whatever is done to the system's
    /// clock: the time of start plus what has passed since.
    #[must_use]
    pub(crate) fn steady(&self) -> TimestampMs {
        let passed = i64::try_from(self.elapsed().as_millis()).unwrap_or(i64::MAX);
        TimestampMs(self.started_at.0.saturating_add(passed))
    }

    /// Milliseconds since the clock started; never goes back.
    #[must_use]
    pub(crate) fn monotonic_ms(&self) -> u64 {
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
