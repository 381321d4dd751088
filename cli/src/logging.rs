//! Where log lines go: to stderr, as text or JSON, filtered by `AVOUCH_LOG`, and no more of a kind
//! than somebody can read. What is held back is counted and told.

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

/// What is logged when `AVOUCH_LOG` says nothing: the HTTP server's life is ours to tell.
const FILTER: &str = "info,actix_server=warn,sqlx=warn";
/// Lines that one place in the code may write in a second. A client at fault sends thousands.
const LINES_PER_SECOND: u32 = 100;
/// How often lines that were held back are told.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);

/// Logs to stderr from now on, as `AVOUCH_LOG` and `AVOUCH_LOG_FORMAT` (`text` or `json`) say.
///
/// # Errors
/// When one of them cannot be understood.
pub(crate) fn to_stderr() -> anyhow::Result<Suppressed> {
    let filter = match std::env::var("AVOUCH_LOG") {
        Ok(filter) => EnvFilter::try_new(filter).context("AVOUCH_LOG")?,
        Err(_) => EnvFilter::new(FILTER),
    };
    let format = std::env::var("AVOUCH_LOG_FORMAT").unwrap_or_default();
    let lines = fmt::layer().with_writer(io::stderr);
    let lines = match format.as_str() {
        "" | "text" => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        "json" => lines.json().flatten_event(true).boxed(),
        other => bail!("AVOUCH_LOG_FORMAT {other:?} is neither text nor json"),
    };
    let suppressed = Suppressed::default();
    let limit = Limit(suppressed.clone());
    tracing_subscriber::registry()
        .with(filter)
        .with(lines.with_filter(limit))
        .init();
    Ok(suppressed)
}

/// The lines of each place in the code, shared by whoever counts and whoever reports.
#[derive(Clone, Debug, Default)]
pub(crate) struct Suppressed(Arc<Mutex<HashMap<Identifier, Place>>>);

/// One place in the code that writes lines.
#[derive(Debug)]
struct Place {
    source: &'static Metadata<'static>,
    budget: Budget,
}

impl Suppressed {
    /// Tells now and then how many lines were held back, for as long as it is polled.
    pub(crate) async fn report(self) {
        let mut interval = tokio::time::interval(REPORT_INTERVAL);
        loop {
            interval.tick().await;
            // Collected first: telling counts lines too.
            let held_back: Vec<_> = self
                .places()
                .values_mut()
                .filter_map(|place| Some((place.source, place.budget.take_held_back()?)))
                .collect();
            for (source, lines) in held_back {
                let (file, line) = (source.file(), source.line());
                tracing::warn!(file, line, lines, "log lines of one kind were held back");
            }
        }
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Identifier, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets a line through while its place has some left this second.
struct Limit(Suppressed);

impl<S: Subscriber> Filter<S> for Limit {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    #[expect(clippy::disallowed_methods, reason = "a shell: the log's own time")]
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

/// Lines written in the current second, and lines held back since the last report.
#[derive(Debug)]
struct Budget {
    second: Instant,
    written: u32,
    held_back: u64,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self {
            second: now,
            written: 0,
            held_back: 0,
        }
    }

    /// Whether one more line may be written now.
    fn admit(&mut self, now: Instant) -> bool {
        if now.duration_since(self.second) >= Duration::from_secs(1) {
            self.second = now;
            self.written = 0;
        }
        let is_admitted = self.written < LINES_PER_SECOND;
        if is_admitted {
            self.written += 1;
        } else {
            self.held_back += 1;
        }
        is_admitted
    }

    /// How many lines were held back since this was asked last, `None` if none were.
    fn take_held_back(&mut self) -> Option<u64> {
        let lines = std::mem::take(&mut self.held_back);
        (lines > 0).then_some(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: operation/4
    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn a_flood_of_lines_is_cut_to_a_number_a_second_and_the_rest_is_counted_once() {
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
            budget.take_held_back(),
            Some(u64::from(20 + LINES_PER_SECOND + 20 + 20))
        );
        assert_eq!(budget.take_held_back(), None);
    }
}
