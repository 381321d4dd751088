//! What is asked of the figures, and whether they meet it: the column `must` of the page.
//!
//! A target is a ratio wherever there is something to be compared with, since times and rates are a
//! machine's. Nothing fails when one is missed: the page says so.

/// The least or the most that a figure must be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Must {
    AtLeast(f64),
    AtMost(f64),
}

use Must::{AtLeast, AtMost};

impl Must {
    /// The cell of a figure: what is asked, in `unit`, and whether that is met.
    pub(crate) fn cell(self, figure: f64, unit: &str) -> String {
        let (sign, bound, is_met) = match self {
            AtLeast(bound) => ("≥", bound, figure >= bound),
            AtMost(bound) => ("≤", bound, figure <= bound),
        };
        verdict(&format!("{sign} {bound}{unit}"), is_met)
    }
}

/// What is asked, and whether it is met.
pub(crate) fn verdict(asked: &str, is_met: bool) -> String {
    let told = if is_met { "met" } else { "**missed**" };
    format!("{asked}: {told}")
}

/// What is asked of a row of the broker beside Apache Kafka.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    /// Of ours by Kafka's.
    Ratio(Must),
    /// Of our figure alone, in a unit.
    Own(Must, &'static str),
    /// Of ours by that of another row of ours, which goes by the short name.
    OfRow(&'static str, &'static str, Must),
    /// Of single records: without syncing by Kafka's at most this, and synced one sync more.
    Way(f64),
}

/// By the names of the rows.
pub(crate) const BROKER: [(&str, Asked); 22] = [
    (
        "produce, 1 KiB, none, 1 partition: CPU s/GB",
        Asked::Ratio(AtMost(0.5)),
    ),
    (
        "produce, 1 KiB, none, 100 partitions: CPU s/GB",
        Asked::Ratio(AtMost(0.5)),
    ),
    (
        "produce, 1 KiB, lz4, 6 partitions: CPU s/GB",
        Asked::Ratio(AtMost(0.5)),
    ),
    (
        "produce, 100 B, lz4, 6 partitions: CPU s/GB",
        Asked::Ratio(AtMost(0.5)),
    ),
    (
        "produce, order, none, 6 partitions, contract: CPU s/GB",
        Asked::Ratio(AtMost(0.6)),
    ),
    (
        "produce, payment, lz4, 6 partitions, contract: CPU s/GB",
        Asked::Ratio(AtMost(0.9)),
    ),
    (
        "consume from cache, 1 KiB, none, 1 partition: CPU s/GB",
        Asked::Ratio(AtMost(0.8)),
    ),
    (
        "produce, payment, lz4, 6 partitions, contract: records/s",
        Asked::Ratio(AtLeast(1.0)),
    ),
    (
        "produce, order, none, 6 partitions, contract: records/s",
        Asked::Ratio(AtLeast(0.7)),
    ),
    (
        "produce, 1 KiB, none, 1 partition: records/s",
        Asked::Own(AtLeast(150_000.0), "/s"),
    ),
    (
        "produce, 1 KiB, none, 100 partitions: records/s",
        Asked::OfRow(
            "produce, 1 KiB, none, 1 partition: records/s",
            "1 partition",
            AtLeast(0.5),
        ),
    ),
    ("end to end, 1 KiB, none, 1000/s: p50 ms", Asked::Way(1.0)),
    ("end to end, 1 KiB, none, 1000/s: p99 ms", Asked::Way(1.0)),
    (
        "end to end, 1 KiB, none, 30 % of the lower peak: p50 ms",
        Asked::Way(1.0),
    ),
    (
        "end to end, 1 KiB, none, 30 % of the lower peak: p99 ms",
        Asked::Way(1.0),
    ),
    (
        "end to end, payment, lz4, 6 partitions, contract, 1000/s: p50 ms",
        Asked::Way(1.0),
    ),
    (
        "end to end, payment, lz4, 6 partitions, contract, 1000/s: p99 ms",
        Asked::Way(1.0),
    ),
    (
        "idle, 1,000 consumers, % of a core",
        Asked::Own(AtMost(1.0), " %"),
    ),
    ("memory, idle, MB", Asked::Ratio(AtMost(0.1))),
    ("memory, loaded, MB", Asked::Ratio(AtMost(0.333))),
    (
        "memory, highest under load, MB",
        Asked::Ratio(AtMost(0.333)),
    ),
    ("start to first record, s", Asked::Ratio(AtMost(0.1))),
];

/// How many times longer than ours a peer must take for a record of a data set.
pub(crate) const VALIDATION: [(&str, &str, f64); 6] = [
    ("payment", "apache-avro", 15.0),
    ("payment", "serde_avro_fast", 4.0),
    ("order", "apache-avro", 12.0),
    ("order", "serde_avro_fast", 4.0),
    ("longs", "apache-avro", 60.0),
    ("strings", "apache-avro", 6.0),
];
/// How many times longer than a CRC-32C over it a data set may take.
pub(crate) const VALIDATION_BY_CRC: (&str, f64) = ("payment", 7.0);
/// How long schemas may take to compile, in ms.
pub(crate) const COMPILE_MS: [(&str, f64); 2] = [("order", 0.2), ("5,000 fields", 20.0)];

/// What a contract may cost a broker: data set, codec, percent of what it takes without.
pub(crate) const CONTRACT_PERCENT: (&str, &str, f64) = ("payment", "lz4", 30.0);

/// Bytes to the disk by bytes produced, where commits are not tiny.
pub(crate) const DEVICE_BYTES: Must = AtMost(2.1);
/// The p99 of commits that meet a checkpoint by that of others.
pub(crate) const IN_CHECKPOINT: Must = AtMost(3.0);
/// Synced throughput with 100 partitions by that with one.
pub(crate) const BY_ONE_PARTITION: Must = AtLeast(0.5);
/// MiB of the whole broker with 4,000 partitions.
pub(crate) const NODE_MIB: Must = AtMost(1_024.0);
/// Seconds from the start of a killed broker to its being ready, whatever data there are.
pub(crate) const RESTART_S: Must = AtMost(2.0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_what_is_asked_and_whether_it_is_met() {
        assert_eq!(AtMost(0.5).cell(0.5, "x"), "≤ 0.5x: met");
        assert_eq!(AtMost(0.5).cell(0.51, "x"), "≤ 0.5x: **missed**");
        assert_eq!(AtLeast(15.0).cell(14.0, "x"), "≥ 15x: **missed**");
        assert_eq!(AtLeast(1.0).cell(f64::NAN, "x"), "≥ 1x: **missed**");
    }
}
