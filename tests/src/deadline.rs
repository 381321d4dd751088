//! Waiting for a condition. The only place of the harness that reads a clock or sleeps, and the
//! time limits here only end runs that hang: no test asserts how long something took.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a client program may take in all. Generous: a shared machine can be slow.
pub const PROGRAM_LIMIT: Duration = Duration::from_secs(120);
const STEP: Duration = Duration::from_millis(20);

/// A moment after which waiting ends.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// The moment `limit` from now.
    pub fn after(limit: Duration) -> Self {
        Self(now() + limit)
    }

    /// What is left until then; zero when it has passed.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(now())
    }

    /// Asks `probe` until it gives a value.
    ///
    /// # Errors
    /// When `probe` fails, or the deadline passes first; `what` names what was waited for.
    pub fn wait<T>(self, what: &str, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
        loop {
            if let Some(value) = probe()? {
                return Ok(value);
            }
            if self.left().is_zero() {
                bail!("waited in vain for {what}");
            }
            thread::sleep(STEP);
        }
    }
}

/// Asks `probe` for at most half a minute until it gives a value.
///
/// # Errors
/// As [`Deadline::wait`].
pub fn eventually<T>(what: &str, probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    Deadline::after(Duration::from_secs(30)).wait(what, probe)
}

/// The clock, for figures and limits.
#[expect(
    clippy::disallowed_methods,
    reason = "the harness is the shell of its tests"
)]
pub fn now() -> Instant {
    Instant::now()
}
