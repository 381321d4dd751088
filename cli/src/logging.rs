//! Log output: to stderr, as text or JSON, filtered by `AVOUCH_LOG`, with a rate limit per source
//! line. Suppressed lines are counted and reported.

use std::collections::HashMap;
use std::io::{self, IsTerminal as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tracing::callsite::Identifier;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// The filter without `AVOUCH_LOG`. Start and stop of the HTTP server are logged by `serve`.
const FILTER: &str = "info,actix_server=warn,sqlx=warn";
/// Maximum number of lines per second of one source line. A misbehaving client can cause thousands.
const LINES_PER_SECOND: u32 = 100;
/// The interval between reports of suppressed lines.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Initializes logging to stderr by `AVOUCH_LOG` and `AVOUCH_LOG_FORMAT` (`text` or `json`).
///
/// # Errors
/// When one of them is invalid.
pub(crate) fn to_stderr() -> anyhow::Result<Suppressed> {
    let filter = match std::env::var("AVOUCH_LOG") {
        Ok(filter) => EnvFilter::try_new(filter).context("AVOUCH_LOG")?,
        Err(_) => EnvFilter::new(FILTER),
    };
    let format = std::env::var("AVOUCH_LOG_FORMAT").unwrap_or_default();
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match format.as_str() {
        // Escape sequences are for terminals; in a file they would be noise.
        "" | "text" => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        // Log collectors expect the fields at the top level.
        "json" => lines.json().flatten_event(true).boxed(),
        other => bail!("invalid AVOUCH_LOG_FORMAT {other:?}; expected text or json"),
    };
    let suppressed = Suppressed::default();
    let limit = Limit(suppressed.clone());
    tracing_subscriber::registry()
        .with(filter)
        .with(lines.with_filter(limit))
        .init();
    Ok(suppressed)
}

/// The rate limits of all source lines, shared by the filter and the reporter.
#[derive(Clone, Debug, Default)]
pub(crate) struct Suppressed(Arc<Mutex<HashMap<Identifier, Place>>>);

/// A source line that writes log lines.
#[derive(Debug)]
struct Place {
    source: &'static Metadata<'static>,
    budget: Budget,
}

impl Suppressed {
    /// Reports the number of suppressed lines at intervals, while it is polled.
    pub(crate) async fn report(self) {
        let mut interval = tokio::time::interval(REPORT_INTERVAL);
        loop {
            interval.tick().await;
            // Collected before the lock is taken again: the report itself passes the filter.
            let suppressed: Vec<_> = self
                .places()
                .values_mut()
                .filter_map(|place| Some((place.source, place.budget.take_suppressed()?)))
                .collect();
            for (source, lines) in suppressed {
                let (file, line) = (source.file(), source.line());
                tracing::warn!(
                    file,
                    line,
                    lines,
                    "log lines were suppressed by the rate limit"
                );
            }
        }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Identifier, Place>> {
        // A panic elsewhere leaves counters that are still valid.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Admits a line while its source line is below the limit of the current second.
struct Limit(Suppressed);

impl<S: Subscriber> Filter<S> for Limit {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    #[expect(clippy::disallowed_methods, reason = "the log reads the real clock")]
    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        let (source, now) = (event.metadata(), Instant::now());
        let mut places = self.0.places();
        let place = places.entry(source.callsite()).or_insert_with(|| Place {
            source,
            budget: Budget::new(now),
        });
        place.budget.admit(now)
    }
}

/// Lines written in the current second, and lines suppressed since the last report.
#[derive(Debug)]
struct Budget {
    second: Instant,
    written: u32,
    suppressed: u64,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self {
            second: now,
            written: 0,
            suppressed: 0,
        }
    }

    /// Returns whether a line may be written now, and counts it.
    fn admit(&mut self, now: Instant) -> bool {
        // A window that starts with its first line: simple, and exact enough for a log.
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.written = 0;
        }
        let is_admitted = self.written < LINES_PER_SECOND;
        if is_admitted {
            self.written += 1;
        } else {
            self.suppressed += 1;
        }
        is_admitted
    }

    /// Returns the number of lines suppressed since the last call, `None` if none were.
    fn take_suppressed(&mut self) -> Option<u64> {
        let lines = std::mem::take(&mut self.suppressed);
        (lines > 0).then_some(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: operation/4
    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant works")]
    fn rate_limit_drops_and_counts_excess_lines() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let flood = |budget: &mut Budget, now| {
            (0..LINES_PER_SECOND + 20)
                .filter(|_| budget.admit(now))
                .count()
        };
        let allowed = LINES_PER_SECOND as usize;
        assert_eq!(flood(&mut budget, start), allowed);
        assert_eq!(flood(&mut budget, start + Duration::from_millis(999)), 0);
        assert_eq!(flood(&mut budget, start + Duration::from_secs(1)), allowed);
        assert_eq!(
            budget.take_suppressed(),
            Some(u64::from(20 + LINES_PER_SECOND + 20 + 20))
        );
        assert_eq!(budget.take_suppressed(), None);
    }
}
