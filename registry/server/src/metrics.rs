//! What the registry counts.

use prometheus::{IntCounterVec, Opts, Registry};

/// How a registration ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A new version was written.
    Added,
    /// It was registered before.
    Existing,
    /// It broke the compatibility level.
    Incompatible,
}

/// The registry's counters.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registrations: IntCounterVec,
    requests: IntCounterVec,
}

impl Metrics {
    /// Creates the counters and adds them to `registry`.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let registrations = Opts::new(
            "avouch_registry_registrations_total",
            "Schema registrations by outcome: added, existing, incompatible",
        );
        let requests = Opts::new(
            "avouch_registry_requests_total",
            "HTTP requests to the registry by route, method and status",
        );
        let metrics = Self {
            registrations: IntCounterVec::new(registrations, &["outcome"])?,
            requests: IntCounterVec::new(requests, &["route", "method", "status"])?,
        };
        registry.register(Box::new(metrics.registrations.clone()))?;
        registry.register(Box::new(metrics.requests.clone()))?;
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

    /// Counts an answer. Labels are bounded: routes are patterns, methods the routed ones.
    pub(crate) fn answered(&self, route: &str, method: &str, status: u16) {
        let method = match method {
            "GET" | "POST" | "PUT" | "DELETE" => method,
            _ => "other",
        };
        self.requests
            .with_label_values(&[route, method, &status.to_string()])
            .inc();
    }
}
