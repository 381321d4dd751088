//! Throughput, medians and percentiles of measurements.

use std::time::Duration;

pub(crate) fn mb_per_s(bytes: usize, took: Duration) -> f64 {
    bytes as f64 / 1e6 / took.as_secs_f64()
}

/// Returns the median, or zero without values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Returns p50 and p99 in µs, or zero without values.
pub(crate) fn percentiles(all: impl IntoIterator<Item = Duration>) -> (f64, f64) {
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort_unstable();
    let at = |percent: usize| {
        let found = all.get(all.len() * percent / 100);
        found.map_or(0.0, |took| took.as_secs_f64() * 1e6)
    };
    (at(50), at(99))
}
