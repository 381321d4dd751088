//! Metrics of connections.

use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

/// The metrics of a listener's connections.
#[derive(Clone, Debug)]
pub struct ConnectionMetrics {
    /// Open connections.
    pub(crate) open: IntGauge,
    /// Rejected connections, by the limit that they would have exceeded.
    rejected: IntCounterVec,
    /// Connections that ended before the peer closed them, by reason.
    closed: IntCounterVec,
}

impl ConnectionMetrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// When a metric of the same name is registered already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            open: IntGauge::new("avouch_connections", "Open Kafka connections.")?,
            rejected: IntCounterVec::new(
                Opts::new(
                    "avouch_connections_refused_total",
                    "Kafka connections closed on accept, by the limit exceeded.",
                ),
                &["limit"],
            )?,
            closed: IntCounterVec::new(
                Opts::new(
                    "avouch_connections_closed_total",
                    "Kafka connections closed by the broker or broken, by reason.",
                ),
                &["reason"],
            )?,
        };
        registry.register(Box::new(metrics.open.clone()))?;
        registry.register(Box::new(metrics.rejected.clone()))?;
        registry.register(Box::new(metrics.closed.clone()))?;
        Ok(metrics)
    }

    /// Counts a connection rejected because of `limit`.
    pub(crate) fn count_rejected(&self, limit: &str) {
        self.rejected.with_label_values(&[limit]).inc();
    }

    /// Counts a connection that ended for `reason`.
    pub(crate) fn count_closed(&self, reason: &str) {
        self.closed.with_label_values(&[reason]).inc();
    }
}
