//! The broker's own metrics. Contract violations are counted in `avouch_contract`.

pub(crate) mod kafka_exporter;
pub(crate) mod timed_disk;

use avouch_protocol::api::ApiKey;
use avouch_protocol::error_code::ErrorCode;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// Upper bounds of the answer times told apart, in seconds: from a read out of memory to a fetch
/// that waited as long as it may.
const ANSWER_SECONDS: &[f64] = &[
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0,
];

/// Upper bounds of the times of syncs told apart, in seconds: from a disk with a battery to one
/// that is about to fail.
const SYNC_SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0,
];

/// Counters and gauges, registered once.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    /// Requests by API name.
    requests: IntCounterVec,
    /// Seconds from taking a request in to its reply, by API name.
    answer_seconds: HistogramVec,
    /// Error codes in replies, by API name and the code's name.
    errors: IntCounterVec,
    /// Seconds that syncs of the write-ahead log took.
    pub(crate) wal_sync_seconds: Histogram,
    /// Bytes of record batches appended.
    pub(crate) produced_bytes: IntCounter,
    /// Records appended.
    pub(crate) produced_records: IntCounter,
    /// Bytes of record batches sent to consumers.
    pub(crate) fetched_bytes: IntCounter,
    /// Those of them that the kernel sent out of segment files.
    pub(crate) fetched_file_bytes: IntCounter,
    /// Bytes given up by retention.
    pub(crate) retired_bytes: IntCounter,
    /// Bytes that compaction saved.
    pub(crate) compacted_bytes: IntCounter,
    /// 1 while producers are refused for want of space.
    pub(crate) low_space: IntGauge,
    /// Damaged ranges that readers met.
    pub(crate) damaged_ranges: IntCounter,
}

impl Metrics {
    /// Registers the metrics.
    ///
    /// # Errors
    /// When a name is taken already.
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self::new()?;
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.answer_seconds.clone()))?;
        registry.register(Box::new(metrics.errors.clone()))?;
        registry.register(Box::new(metrics.wal_sync_seconds.clone()))?;
        registry.register(Box::new(metrics.produced_bytes.clone()))?;
        registry.register(Box::new(metrics.produced_records.clone()))?;
        registry.register(Box::new(metrics.fetched_bytes.clone()))?;
        registry.register(Box::new(metrics.fetched_file_bytes.clone()))?;
        registry.register(Box::new(metrics.retired_bytes.clone()))?;
        registry.register(Box::new(metrics.compacted_bytes.clone()))?;
        registry.register(Box::new(metrics.low_space.clone()))?;
        registry.register(Box::new(metrics.damaged_ranges.clone()))?;
        Ok(metrics)
    }

    fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            requests: counter_by(
                &["api"],
                "avouch_requests_total",
                "Kafka requests taken in, by API.",
            )?,
            answer_seconds: HistogramVec::new(
                HistogramOpts::new(
                    "avouch_request_seconds",
                    "Seconds from taking a Kafka request in to its reply, waits included, by API.",
                )
                .buckets(ANSWER_SECONDS.to_vec()),
                &["api"],
            )?,
            errors: counter_by(
                &["api", "code"],
                "avouch_errors_total",
                "Error codes in replies to Kafka requests, by API and Kafka's name of the code.",
            )?,
            wal_sync_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "avouch_log_wal_sync_seconds",
                    "Seconds that a sync of the write-ahead log took.",
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
                "Bytes of record batches sent to consumers out of segment files by the kernel.",
            )?,
            retired_bytes: IntCounter::new(
                "avouch_log_retired_bytes_total",
                "Bytes of record batches given up by retention.",
            )?,
            compacted_bytes: IntCounter::new(
                "avouch_log_compacted_bytes_total",
                "Bytes that compaction saved.",
            )?,
            low_space: IntGauge::new(
                "avouch_log_low_space",
                "1 while producers are refused because the disk has too little space left.",
            )?,
            damaged_ranges: IntCounter::new(
                "avouch_log_damaged_ranges_total",
                "Damaged ranges of offsets that readers met since the start.",
            )?,
        })
    }

    /// Counts the error codes of a reply.
    pub(crate) fn answered(&self, api: ApiKey, errors: &[(i16, u64)]) {
        for (code, count) in errors {
            let name = ErrorCode::try_from(*code).map_or("Unknown", ErrorCode::name);
            self.errors
                .with_label_values(&[api.name(), name])
                .inc_by(*count);
        }
    }

    /// Counts a request; what is returned takes the seconds until its reply.
    pub(crate) fn taken_in(&self, api: ApiKey) -> Histogram {
        self.requests.with_label_values(&[api.name()]).inc();
        self.answer_seconds.with_label_values(&[api.name()])
    }
}

fn counter_by(labels: &[&str], name: &str, help: &str) -> Result<IntCounterVec, prometheus::Error> {
    IntCounterVec::new(Opts::new(name, help), labels)
}
