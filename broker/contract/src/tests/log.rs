//! The log lines of violations.

use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber, span};

use super::*;

/// Keeps warnings as `field=value` words.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::WARN
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn log_lines_of_a_batch_are_bounded() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    // With a single dispatcher, the first thread that reaches a callsite caches its interest for
    // all threads, and other tests have no dispatcher; with two, every callsite checks both.
    let _second = tracing::Dispatch::new(lines.clone());
    let world = World::new();
    let policy = policy(&[VALUE]);
    world
        .check(&policy, &[good(), value(framed(99, &[]))])
        .await;
    let one = std::mem::take(&mut *lines.0.lock().unwrap());
    assert_eq!(one.len(), 1, "{one:?}");
    for word in [
        "topic=\"payments\"",
        "partition=2",
        "index=1",
        "api_version=13",
        "client_id=\"till-1\"",
        "principal=\"User:ANONYMOUS\"",
        "mode=\"enforce\"",
        "reason=\"unknown-id\"",
        "contract violation: value: unknown schema id 99",
    ] {
        assert!(one[0].contains(word), "{word} is missing: {}", one[0]);
    }
    world.check(&policy, &vec![bad(); 100]).await;
    let many = lines.0.lock().unwrap();
    assert_eq!(many.len(), check::DESCRIBED_MAX + 1);
    assert!(many[check::DESCRIBED_MAX].contains("84 more contract violations in the same batch"));
}
