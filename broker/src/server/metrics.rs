//! The broker's own metrics. Contract violations are counted in `contract::report`.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Counters and gauges, registered once.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// Requests by API name.
    pub(crate) requests: IntCounterVec,
    /// Open client connections.
    pub(crate) connections: IntGauge,
    /// Bytes of record batches appended.
    pub(crate) produced_bytes: IntCounter,
    /// Records appended.
    pub(crate) produced_records: IntCounter,
    /// Bytes of record batches sent to consumers.
    pub(crate) fetched_bytes: IntCounter,
}

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// When a name is taken already.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("avouch_requests_total", "Kafka requests taken in, by API."),
                &["api"],
            )?,
            connections: IntGauge::new("avouch_connections", "Open Kafka connections.")?,
            produced_bytes: IntCounter::new(
                "avouch_produced_bytes_total",
                "Bytes of record batches appended.",
            )?,
            produced_records: IntCounter::new(
                "avouch_produced_records_total",
                "Records appended.",
            )?,
            fetched_bytes: IntCounter::new(
                "avouch_fetched_bytes_total",
                "Bytes of record batches sent to consumers.",
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.connections.clone()))?;
        registry.register(Box::new(metrics.produced_bytes.clone()))?;
        registry.register(Box::new(metrics.produced_records.clone()))?;
        registry.register(Box::new(metrics.fetched_bytes.clone()))?;
        Ok(metrics)
    }
}
