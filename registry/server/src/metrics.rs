//! Metrics of the registry.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
};

/// Upper bounds of the latency histogram, in seconds: from a cached response to an overloaded disk.
const LATENCY_BUCKETS_S: [f64; 10] = [
    0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0,
];

/// Maximum number of pairs of subject and user agent with a counter of their own. Each costs a few
/// hundred bytes here and a line in every scrape.
const MAX_PAIRS: usize = 1_000;
/// Maximum length of a subject or a user agent in a label, in bytes.
const LABEL_BYTES: usize = 128;
/// The label of all other subjects and user agents.
const OTHER: &str = "other";

/// The most requested route.
pub(crate) const SCHEMA_BY_ID: &str = "/schemas/ids/{id}";

/// Outcome of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A new version was written.
    Added,
    /// The schema was registered already.
    Existing,
    /// The schema was incompatible.
    Incompatible,
}

/// The registry's metrics.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registrations: IntCounterVec,
    registrations_again: ClientCounters,
    requests: IntCounterVec,
    latency: HistogramVec,
    // The children for cached responses of `SCHEMA_BY_ID`. Looking them up by label would take as
    // long as the response.
    cached: IntCounter,
    cached_latency: Histogram,
}

impl Metrics {
    /// Creates the metrics and adds them to `registry`.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let registrations = Opts::new(
            "avouch_registry_registrations_total",
            "Schema registrations by outcome: added, existing, incompatible",
        );
        let requests = Opts::new(
            "avouch_registry_requests_total",
            "HTTP requests to the registry by route, method and status",
        );
        let latency = HistogramOpts::new(
            "avouch_registry_request_seconds",
            "Time from request head to response, by route and method",
        )
        .buckets(LATENCY_BUCKETS_S.to_vec());
        let requests = IntCounterVec::new(requests, &["route", "method", "status"])?;
        let latency = HistogramVec::new(latency, &["route", "method"])?;
        let metrics = Self {
            registrations: IntCounterVec::new(registrations, &["outcome"])?,
            registrations_again: ClientCounters::new()?,
            cached: requests.with_label_values(&[SCHEMA_BY_ID, "GET", "200"]),
            cached_latency: latency.with_label_values(&[SCHEMA_BY_ID, "GET"]),
            requests,
            latency,
        };
        registry.register(Box::new(metrics.registrations.clone()))?;
        registry.register(Box::new(metrics.registrations_again.counters.clone()))?;
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.latency.clone()))?;
        Ok(metrics)
    }

    pub(crate) fn registered(&self, outcome: Outcome) {
        let outcome = match outcome {
            Outcome::Added => "added",
            Outcome::Existing => "existing",
            Outcome::Incompatible => "incompatible",
        };
        self.registrations.with_label_values(&[outcome]).inc();
    }

    /// Counts a registration of a schema that was registered already, by its client.
    pub(crate) fn registered_again(&self, subject: &str, user_agent: &str) {
        self.registrations_again.count(subject, user_agent);
    }

    /// Counts a response. The number of label values is bounded: routes are path patterns, and
    /// methods without a route are `other`.
    pub(crate) fn responded(&self, route: &str, method: &str, status: StatusCode) {
        self.requests
            .with_label_values(&[route, method_label(method), status.as_str()])
            .inc();
    }

    /// Counts a response from the schema cache that took `time`.
    pub(crate) fn served_from_cache(&self, time: Duration) {
        self.cached.inc();
        self.cached_latency.observe(time.as_secs_f64());
    }

    /// Records how long a response took.
    pub(crate) fn took(&self, route: &str, method: &str, time: Duration) {
        self.latency
            .with_label_values(&[route, method_label(method)])
            .observe(time.as_secs_f64());
    }
}

/// Counters by subject and user agent, which clients choose, so that their number is limited.
#[derive(Clone, Debug)]
struct ClientCounters {
    counters: IntCounterVec,
    /// The counters by subject and then by user agent, and their number.
    known: Arc<Mutex<KnownClients>>,
    others: IntCounter,
}

#[derive(Debug, Default)]
struct KnownClients {
    by_subject: HashMap<String, HashMap<String, IntCounter>>,
    pairs: usize,
}

impl ClientCounters {
    fn new() -> Result<Self, prometheus::Error> {
        let opts = Opts::new(
            "avouch_registry_repeated_registrations_total",
            "Registrations of schemas that were registered already, by subject and user agent; \
             after 1,000 pairs, both are `other`",
        );
        let counters = IntCounterVec::new(opts, &["subject", "user_agent"])?;
        let others = counters.with_label_values(&[OTHER, OTHER]);
        Ok(Self {
            counters,
            known: Arc::default(),
            others,
        })
    }

    fn count(&self, subject: &str, user_agent: &str) {
        let (subject, user_agent) = (label(subject), label(user_agent));
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let KnownClients { by_subject, pairs } = &mut *known;
        // Found without an allocation for every request but the first of a pair.
        let clients = by_subject.get(subject);
        if let Some(counter) = clients.and_then(|clients| clients.get(user_agent)) {
            counter.inc();
        } else if *pairs < MAX_PAIRS {
            let counter = self.counters.with_label_values(&[subject, user_agent]);
            counter.inc();
            let clients = by_subject.entry(subject.to_owned()).or_default();
            clients.insert(user_agent.to_owned(), counter);
            *pairs += 1;
        } else {
            self.others.inc();
        }
    }
}

/// Returns the start of a text that a client chooses.
fn label(text: &str) -> &str {
    &text[..text.floor_char_boundary(LABEL_BYTES)]
}

fn method_label(method: &str) -> &str {
    match method {
        // A client can send any word as a method; each label value would be a new time series.
        "GET" | "HEAD" | "POST" | "PUT" | "DELETE" => method,
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: registry/rest-16
    #[test]
    fn number_of_client_counters_is_limited() {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        for at in 0..MAX_PAIRS + 50 {
            metrics.registered_again(&format!("s{at}"), "agent");
            metrics.registered_again("s0", "agent");
        }
        let counters = &metrics.registrations_again.counters;
        let count = |subject, agent| counters.with_label_values(&[subject, agent]).get();
        assert_eq!(count("s0", "agent"), 1 + MAX_PAIRS as u64 + 50);
        assert_eq!(count("s999", "agent"), 1);
        assert_eq!(count(OTHER, OTHER), 50);
        metrics.registered_again("s0", &"\u{e9}".repeat(LABEL_BYTES));
        assert_eq!(count(OTHER, OTHER), 51);
    }
}
