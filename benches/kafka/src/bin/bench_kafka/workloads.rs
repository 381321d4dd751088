//! Workloads: record values, compression and partitions.

/// Values of a workload.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values {
    /// Values of this many bytes, half of them random.
    Bytes(usize),
    /// Avro data of the bench data set with this index. Avouch validates it.
    Data(usize),
}

/// A throughput workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) values: Values,
    pub(crate) codec: &'static str,
    pub(crate) partitions: i32,
}

impl Workload {
    /// Returns the name of its produce rows, without the unit.
    pub(crate) fn produce_row(&self) -> String {
        format!("produce, {}", self.name)
    }

    pub(crate) fn cached_row(&self) -> String {
        format!("consume from cache, {}", self.name)
    }

    pub(crate) fn disk_row(&self) -> String {
        format!("consume from disk, {}", self.name)
    }
}

/// Send rate of a latency workload.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rate {
    PerSecond(f64),
    /// A share of the peak rate of the slower broker.
    ShareOfPeak,
}

/// A workload that measures the end-to-end latency of single records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LatencyWorkload {
    pub(crate) name: &'static str,
    pub(crate) workload: Workload,
    pub(crate) rate: Rate,
}

const PAYMENT: usize = 0;
const ORDER: usize = 1;

/// The throughput workloads. Only those with one partition are also consumed.
pub(crate) const WORKLOADS: [Workload; 7] = [
    workload("100 B, lz4, 6 partitions", Values::Bytes(100), "lz4", 6),
    workload("1 KiB, none, 1 partition", Values::Bytes(1_024), "none", 1),
    workload(
        "1 KiB, none, 100 partitions",
        Values::Bytes(1_024),
        "none",
        100,
    ),
    workload("1 KiB, lz4, 6 partitions", Values::Bytes(1_024), "lz4", 6),
    workload(
        "payment, lz4, 6 partitions, contract",
        Values::Data(PAYMENT),
        "lz4",
        6,
    ),
    workload(
        "order, lz4, 6 partitions, contract",
        Values::Data(ORDER),
        "lz4",
        6,
    ),
    workload(
        "order, none, 6 partitions, contract",
        Values::Data(ORDER),
        "none",
        6,
    ),
];

/// The latency workloads.
pub(crate) const LATENCY_WORKLOADS: [LatencyWorkload; 3] = [
    LatencyWorkload {
        name: "end to end, 1 KiB, none, 1000/s",
        workload: WORKLOADS[1],
        rate: Rate::PerSecond(1_000.0),
    },
    LatencyWorkload {
        name: "end to end, 1 KiB, none, 30 % of the lower peak",
        workload: WORKLOADS[1],
        rate: Rate::ShareOfPeak,
    },
    LatencyWorkload {
        name: "end to end, payment, lz4, 6 partitions, contract, 1000/s",
        workload: WORKLOADS[4],
        rate: Rate::PerSecond(1_000.0),
    },
];

const fn workload(
    name: &'static str,
    values: Values,
    codec: &'static str,
    partitions: i32,
) -> Workload {
    Workload {
        name,
        values,
        codec,
        partitions,
    }
}
