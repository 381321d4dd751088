//! Targets of the results: the column `target` of the page.
//!
//! Targets are ratios where there is a peer to compare with, because times and rates depend on the
//! machine. A missed target is shown on the page; no test fails.

/// Minimum or maximum of a result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Must {
    AtLeast(f64),
    AtMost(f64),
}

use Must::{AtLeast, AtMost};

impl Must {
    /// Returns the table cell of a result: the bound in `unit`, and whether it is met.
    pub(crate) fn cell(self, result: f64, unit: &str) -> String {
        // A NaN (a missing measurement) meets no bound.
        let (sign, bound, is_met) = match self {
            AtLeast(bound) => ("≥", bound, result >= bound),
            AtMost(bound) => ("≤", bound, result <= bound),
        };
        outcome(&format!("{sign} {bound}{unit}"), is_met)
    }
}

/// Returns the target and whether it is met.
pub(crate) fn outcome(target: &str, is_met: bool) -> String {
    let met = if is_met { "met" } else { "**missed**" };
    format!("{target}: {met}")
}

/// The target of a row of the comparison with Apache Kafka.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    /// Bound of Avouch's result divided by Kafka's.
    Ratio(Must),
    /// Bound of Avouch's result, in a unit.
    Own(Must, &'static str),
    /// Bound of Avouch's result divided by Avouch's result of another row, with its short name.
    OfRow(&'static str, &'static str, Must),
    /// End-to-end latency: in mode `os` at most this factor of Kafka's, in mode `fsync` one disk
    /// sync more.
    Latency(f64),
}

/// Targets by row name.
pub(crate) const BROKER: [(&str, Target); 22] = [
    (
        "produce, 1 KiB, none, 1 partition: CPU s/GB",
        Target::Ratio(AtMost(0.5)),
    ),
    (
        "produce, 1 KiB, none, 100 partitions: CPU s/GB",
        Target::Ratio(AtMost(0.5)),
    ),
    (
        "produce, 1 KiB, lz4, 6 partitions: CPU s/GB",
        Target::Ratio(AtMost(0.5)),
    ),
    (
        "produce, 100 B, lz4, 6 partitions: CPU s/GB",
        Target::Ratio(AtMost(0.5)),
    ),
    (
        "produce, order, none, 6 partitions, contract: CPU s/GB",
        Target::Ratio(AtMost(0.6)),
    ),
    (
        "produce, payment, lz4, 6 partitions, contract: CPU s/GB",
        Target::Ratio(AtMost(0.9)),
    ),
    (
        "consume from cache, 1 KiB, none, 1 partition: CPU s/GB",
        Target::Ratio(AtMost(0.8)),
    ),
    (
        "produce, payment, lz4, 6 partitions, contract: records/s",
        Target::Ratio(AtLeast(1.0)),
    ),
    (
        "produce, order, none, 6 partitions, contract: records/s",
        Target::Ratio(AtLeast(0.7)),
    ),
    (
        "produce, 1 KiB, none, 1 partition: records/s",
        Target::Own(AtLeast(150_000.0), "/s"),
    ),
    (
        "produce, 1 KiB, none, 100 partitions: records/s",
        Target::OfRow(
            "produce, 1 KiB, none, 1 partition: records/s",
            "1 partition",
            AtLeast(0.5),
        ),
    ),
    (
        "end to end, 1 KiB, none, 1000/s: p50 ms",
        Target::Latency(1.0),
    ),
    (
        "end to end, 1 KiB, none, 1000/s: p99 ms",
        Target::Latency(1.0),
    ),
    (
        "end to end, 1 KiB, none, 30 % of the lower peak: p50 ms",
        Target::Latency(1.0),
    ),
    (
        "end to end, 1 KiB, none, 30 % of the lower peak: p99 ms",
        Target::Latency(1.0),
    ),
    (
        "end to end, payment, lz4, 6 partitions, contract, 1000/s: p50 ms",
        Target::Latency(1.0),
    ),
    (
        "end to end, payment, lz4, 6 partitions, contract, 1000/s: p99 ms",
        Target::Latency(1.0),
    ),
    (
        "idle, 1,000 consumers, % of a core",
        Target::Own(AtMost(1.0), " %"),
    ),
    ("memory, idle, MB", Target::Ratio(AtMost(0.1))),
    ("memory, loaded, MB", Target::Ratio(AtMost(0.333))),
    (
        "memory, highest under load, MB",
        Target::Ratio(AtMost(0.333)),
    ),
    ("start to first record, s", Target::Ratio(AtMost(0.1))),
];

/// Minimum time of a peer for a record of a data set, divided by Avouch's time.
pub(crate) const VALIDATION: [(&str, &str, f64); 6] = [
    ("payment", "apache-avro", 15.0),
    ("payment", "serde_avro_fast", 4.0),
    ("order", "apache-avro", 12.0),
    ("order", "serde_avro_fast", 4.0),
    ("longs", "apache-avro", 60.0),
    ("strings", "apache-avro", 6.0),
];
/// Maximum validation time of a data set, divided by the time of a CRC-32C of it.
pub(crate) const VALIDATION_BY_CRC: (&str, f64) = ("payment", 7.0);
/// Maximum compile time of schemas, in ms.
pub(crate) const COMPILE_MS: [(&str, f64); 2] = [("order", 0.2), ("5,000 fields", 20.0)];

/// Maximum overhead of a contract: data set, codec, percent of the CPU time without a contract.
pub(crate) const CONTRACT_PERCENT: (&str, &str, f64) = ("payment", "lz4", 30.0);

/// Bytes written to the disk divided by bytes produced, for batches of at least 16 KiB.
pub(crate) const DEVICE_BYTES: Must = AtMost(2.1);
/// p99 of commits during a checkpoint divided by the p99 of the others.
pub(crate) const IN_CHECKPOINT: Must = AtMost(3.0);
/// Throughput in mode `fsync` with 100 partitions divided by that with one.
pub(crate) const BY_ONE_PARTITION: Must = AtLeast(0.5);
/// Peak memory of the broker process with 4,000 partitions, in MiB.
pub(crate) const NODE_MIB: Must = AtMost(1_024.0);
/// Seconds from the restart of a killed broker until it is ready, independent of the data size.
pub(crate) const RESTART_S: Must = AtMost(2.0);

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: validator/4
    #[test]
    fn cell_shows_bound_and_outcome() {
        assert_eq!(AtMost(0.5).cell(0.5, "x"), "≤ 0.5x: met");
        assert_eq!(AtMost(0.5).cell(0.51, "x"), "≤ 0.5x: **missed**");
        assert_eq!(AtLeast(15.0).cell(14.0, "x"), "≥ 15x: **missed**");
        assert_eq!(AtLeast(1.0).cell(f64::NAN, "x"), "≥ 1x: **missed**");
    }
}
