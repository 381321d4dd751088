//! Waiting for a condition. This is the only module of the harness that reads a clock or sleeps.
//! The time limits only abort runs that hang; no test asserts a duration.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Maximum run time of a client program. Long, because a shared machine can be slow.
pub const PROGRAM_LIMIT: Duration = Duration::from_secs(120);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The time at which waiting ends.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// Returns the deadline `limit` from now.
    pub fn after(limit: Duration) -> Self {
        Self(now() + limit)
    }

    /// Returns the remaining time, zero after the deadline.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(now())
    }

    /// Calls `probe` until it returns a value.
    ///
    /// # Errors
    /// Fails if `probe` fails or the deadline passes; the error names `what`.
    pub fn wait<T>(self, what: &str, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        loop {
            // Probed before the deadline is checked, so that one probe always runs.
            if let Some(value) = probe()? {
                return Ok(value);
            }
            if self.left().is_zero() {
                bail!("timed out waiting for {what}");
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}

/// Calls `probe` for at most 30 s until it returns a value.
///
/// # Errors
/// Like [`Deadline::wait`].
pub fn eventually<T>(what: &str, probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    Deadline::after(Duration::from_secs(30)).wait(what, probe)
}

/// Returns the current time, for measurements and limits.
#[expect(
    clippy::disallowed_methods,
    reason = "the harness is the shell of its tests"
)]
pub fn now() -> Instant {
    Instant::now()
}
