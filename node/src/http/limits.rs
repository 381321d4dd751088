//! Limits of the HTTP listener, and the counters that enforce them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use avouch_net::{Clock, MemoryPermit, MemoryPool, RequestMemory, WarningLimit};
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use tracing::warn;

/// Limits of the HTTP listener.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// Maximum number of open connections; further ones are closed on accept. Default 1,000.
    pub connections_max: usize,
    /// Maximum memory of request and response bodies of all connections, in bytes. A request above
    /// it gets status 503. Default 64 MiB.
    pub memory_bytes_max: usize,
    /// Maximum time to receive a request after its first byte, plus a second for each received MiB.
    /// Default 30 s.
    pub request_read_timeout: Duration,
    /// The maximum time without progress while a response is sent. Default 60 s.
    pub response_write_timeout: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            connections_max: 1_000,
            memory_bytes_max: 64 << 20,
            request_read_timeout: Duration::from_secs(30),
            response_write_timeout: Duration::from_secs(60),
        }
    }
}

/// State shared by all connections of the listener.
#[derive(Debug)]
pub(crate) struct HttpContext {
    pub(super) limits: HttpLimits,
    /// Memory of HTTP bodies.
    memory: MemoryPool,
    /// Memory of all requests of the broker, if the process has one.
    shared: Option<Arc<RequestMemory>>,
    open: AtomicUsize,
    rejections: Mutex<WarningLimit>,
    clock: Clock,
    metrics: HttpMetrics,
}

impl HttpContext {
    pub(crate) fn new(
        limits: HttpLimits,
        shared: Option<Arc<RequestMemory>>,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self {
            limits,
            memory: MemoryPool::new(limits.memory_bytes_max),
            shared,
            open: AtomicUsize::new(0),
            rejections: Mutex::default(),
            clock: Clock::start(),
            metrics: HttpMetrics::register(registry)?,
        })
    }

    /// Reserves `bytes` of the listener's own memory and of the memory that it shares with Kafka
    /// requests, if both are free now.
    pub(super) fn try_reserve(&self, bytes: usize) -> Option<BodyMemory> {
        let own = self.memory.try_reserve(bytes);
        let shared = match &self.shared {
            Some(shared) => shared.try_reserve(bytes),
            None => Some(MemoryPermit::default()),
        };
        let (Some(own), Some(shared)) = (own, shared) else {
            self.metrics.out_of_memory.inc();
            return None;
        };
        let gauge_bytes = gauge(bytes);
        self.metrics.memory.add(gauge_bytes);
        Some(BodyMemory {
            _own: own,
            _shared: shared,
            bytes: gauge_bytes,
            gauge: self.metrics.memory.clone(),
        })
    }

    /// Counts a connection, or returns `None` at the limit.
    pub(super) fn connect(self: &Arc<Self>) -> Option<OpenConnection> {
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        // Counted before the check, so that two workers cannot both take the last place.
        let connection = OpenConnection(Arc::clone(self));
        self.metrics.open.inc();
        if open < self.limits.connections_max {
            return Some(connection);
        }
        self.metrics.rejected.inc();
        let now_ms = self.clock.monotonic_ms();
        if let Some(count) = lock(&self.rejections).count(now_ms) {
            let max = self.limits.connections_max;
            warn!(
                count,
                max, "HTTP connections rejected: the limit of connections is reached"
            );
        }
        None
    }

    /// Counts a connection that the listener closes for `reason`.
    pub(super) fn count_closed(&self, reason: &str) {
        self.metrics.closed.with_label_values(&[reason]).inc();
    }
}

/// Memory of a request's or a response's body, returned on drop.
#[derive(Debug)]
pub(super) struct BodyMemory {
    _own: MemoryPermit,
    _shared: MemoryPermit,
    bytes: i64,
    gauge: IntGauge,
}

impl Drop for BodyMemory {
    fn drop(&mut self) {
        self.gauge.sub(self.bytes);
    }
}

/// An open connection, counted until it is dropped.
#[derive(Debug)]
pub(super) struct OpenConnection(pub(super) Arc<HttpContext>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.open.dec();
    }
}

fn lock(rejections: &Mutex<WarningLimit>) -> MutexGuard<'_, WarningLimit> {
    // A panic elsewhere leaves counters that are still valid.
    rejections.lock().unwrap_or_else(PoisonError::into_inner)
}

fn gauge(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Metrics of the listener.
#[derive(Debug)]
struct HttpMetrics {
    open: IntGauge,
    rejected: IntCounter,
    closed: IntCounterVec,
    memory: IntGauge,
    out_of_memory: IntCounter,
}

impl HttpMetrics {
    fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            open: IntGauge::new("avouch_http_connections", "Open HTTP connections.")?,
            rejected: IntCounter::new(
                "avouch_http_connections_rejected_total",
                "HTTP connections closed on accept, because the limit of connections was reached.",
            )?,
            closed: IntCounterVec::new(
                Opts::new(
                    "avouch_http_connections_closed_total",
                    "HTTP connections closed by the server, by reason.",
                ),
                &["reason"],
            )?,
            memory: IntGauge::new(
                "avouch_http_memory_bytes",
                "Memory reserved for HTTP request and response bodies.",
            )?,
            out_of_memory: IntCounter::new(
                "avouch_http_out_of_memory_total",
                "HTTP requests rejected because http-memory-bytes was reached.",
            )?,
        };
        registry.register(Box::new(metrics.open.clone()))?;
        registry.register(Box::new(metrics.rejected.clone()))?;
        registry.register(Box::new(metrics.closed.clone()))?;
        registry.register(Box::new(metrics.memory.clone()))?;
        registry.register(Box::new(metrics.out_of_memory.clone()))?;
        Ok(metrics)
    }
}
