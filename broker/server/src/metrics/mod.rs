//! Counters and histograms of the broker. `avouch_contract` counts contract violations.

pub(crate) mod kafka_exporter;
pub(crate) mod timed_disk;

use avouch_protocol::api::ApiKey;
use avouch_protocol::error_code::ErrorCode;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// Histogram buckets of response times, in seconds: from a read from memory to a fetch that waited
/// for the maximum time.
const RESPONSE_SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// Histogram buckets of sync times, in seconds: from a disk with a protected cache to one that is
/// about to fail.
const SYNC_SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
];

/// The metrics of a broker; clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// Requests by API name.
    requests: IntCounterVec,
    /// Seconds from accepting a request to its response, by API name.
    response_seconds: HistogramVec,
    /// Error codes in responses, by API name and the code's name.
    errors: IntCounterVec,
    /// Seconds of writing and syncing the write-ahead log, for each sync.
    pub(crate) wal_sync_seconds: Histogram,
    /// Bytes of record batches appended.
    pub(crate) produced_bytes: IntCounter,
    /// Records appended.
    pub(crate) produced_records: IntCounter,
    /// Bytes of record batches sent to consumers.
    pub(crate) fetched_bytes: IntCounter,
    /// The part of them that the kernel sent from segment files.
    pub(crate) fetched_file_bytes: IntCounter,
    /// Metadata responses that were delayed, see `quota::repeated_metadata`.
    pub(crate) delayed_metadata: IntCounter,
    /// Bytes deleted by retention.
    pub(crate) retired_bytes: IntCounter,
    /// Bytes that compaction saved.
    pub(crate) compacted_bytes: IntCounter,
    /// 1 while produce requests are rejected because disk space is low.
    pub(crate) low_space: IntGauge,
    /// Corrupt ranges of offsets.
    pub(crate) corrupt_ranges: IntCounter,
    /// Failed background work, by task.
    background_failures: IntCounterVec,
}

/// Background work of the log that is repeated after a failure.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BackgroundTask {
    /// Writing segments and checkpoints.
    Segments,
    /// Retention and compaction of a partition.
    Maintenance,
}

impl Metrics {
    /// Creates and registers the metrics.
    ///
    /// # Errors
    /// If a metric of the same name is registered already.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self::new()?;
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.response_seconds.clone()))?;
        registry.register(Box::new(metrics.errors.clone()))?;
        registry.register(Box::new(metrics.wal_sync_seconds.clone()))?;
        registry.register(Box::new(metrics.produced_bytes.clone()))?;
        registry.register(Box::new(metrics.produced_records.clone()))?;
        registry.register(Box::new(metrics.fetched_bytes.clone()))?;
        registry.register(Box::new(metrics.fetched_file_bytes.clone()))?;
        registry.register(Box::new(metrics.delayed_metadata.clone()))?;
        registry.register(Box::new(metrics.retired_bytes.clone()))?;
        registry.register(Box::new(metrics.compacted_bytes.clone()))?;
        registry.register(Box::new(metrics.low_space.clone()))?;
        registry.register(Box::new(metrics.corrupt_ranges.clone()))?;
        registry.register(Box::new(metrics.background_failures.clone()))?;
        Ok(metrics)
    }

    fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            requests: counter_by(
                &["api"],
                "avouch_requests_total",
                "Kafka requests accepted, by API.",
            )?,
            response_seconds: HistogramVec::new(
                HistogramOpts::new(
                    "avouch_request_seconds",
                    "Seconds from accepting a Kafka request to its response, with waits, by API.",
                )
                .buckets(RESPONSE_SECONDS.to_vec()),
                &["api"],
            )?,
            errors: counter_by(
                &["api", "code"],
                "avouch_errors_total",
                "Error codes in Kafka responses, by API and Kafka's name of the code.",
            )?,
            wal_sync_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "avouch_log_wal_sync_seconds",
                    "Seconds of writing and syncing the write-ahead log, for each sync.",
                )
                .buckets(SYNC_SECONDS.to_vec()),
            )?,
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
            fetched_file_bytes: IntCounter::new(
                "avouch_fetched_file_bytes_total",
                "Bytes of record batches that the kernel sent to consumers from segment files.",
            )?,
            delayed_metadata: IntCounter::new(
                "avouch_delayed_metadata_total",
                "Metadata responses delayed because they repeat that a topic does not exist.",
            )?,
            retired_bytes: IntCounter::new(
                "avouch_log_retired_bytes_total",
                "Bytes of record batches deleted by retention.",
            )?,
            compacted_bytes: IntCounter::new(
                "avouch_log_compacted_bytes_total",
                "Bytes that compaction saved.",
            )?,
            low_space: IntGauge::new(
                "avouch_log_low_space",
                "1 while produce requests are rejected because disk space is low.",
            )?,
            corrupt_ranges: IntCounter::new(
                "avouch_log_damaged_ranges_total",
                "Corrupt ranges of offsets found since the start.",
            )?,
            background_failures: counter_by(
                &["task"],
                "avouch_log_background_failures_total",
                "Failed background work of the log, which is repeated, by task.",
            )?,
        })
    }

    /// Counts the error codes of a response.
    pub(crate) fn count_errors(&self, api: ApiKey, errors: &[(i16, u64)]) {
        for (code, count) in errors {
            // Bounded labels: a code that Kafka does not define counts as Unknown.
            let name = ErrorCode::try_from(*code).map_or("Unknown", ErrorCode::name);
            self.errors
                .with_label_values(&[api.name(), name])
                .inc_by(*count);
        }
    }

    /// Counts failed background work.
    pub(crate) fn count_background_failures(&self, task: BackgroundTask, count: u64) {
        let label = match task {
            BackgroundTask::Segments => "segments",
            BackgroundTask::Maintenance => "maintenance",
        };
        let failures = self.background_failures.with_label_values(&[label]);
        failures.inc_by(count);
    }

    /// Counts a request. Returns the histogram for the seconds until its response.
    pub(crate) fn count_request(&self, api: ApiKey) -> Histogram {
        self.requests.with_label_values(&[api.name()]).inc();
        self.response_seconds.with_label_values(&[api.name()])
    }
}

fn counter_by(labels: &[&str], name: &str, help: &str) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(name, help), labels)
}
