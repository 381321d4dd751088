//! Metrics of the registry.

use std::time::Duration;

use actix_web::http::StatusCode;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry,
};

/// Upper bounds of the latency histogram, in seconds: from a cached response to an overloaded disk.
const LATENCY_BUCKETS_S: [f64; 10] = [
    0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05, 0.25, 1.0, 5.0,
];

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
            cached: requests.with_label_values(&[SCHEMA_BY_ID, "GET", "200"]),
            cached_latency: latency.with_label_values(&[SCHEMA_BY_ID, "GET"]),
            requests,
            latency,
        };
        registry.register(Box::new(metrics.registrations.clone()))?;
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

fn method_label(method: &str) -> &str {
    match method {
        // A client can send any word as a method; each label value would be a new time series.
        "GET" | "POST" | "PUT" | "DELETE" => method,
        _ => "other",
    }
}
