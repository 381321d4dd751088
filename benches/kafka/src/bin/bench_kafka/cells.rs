//! What is measured: kinds of records, how they are compressed, over how many partitions.

/// Values of a load.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values {
    /// Half random bytes, so many.
    Bytes(usize),
    /// Data of a schema, by its place among the bench data sets; under contract where there is one.
    Data(usize),
}

/// A load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) name: &'static str,
    pub(crate) values: Values,
    pub(crate) codec: &'static str,
    pub(crate) partitions: i32,
}

impl Cell {
    /// What its rows are called, the unit behind it left out.
    pub(crate) fn produced(&self) -> String {
        format!("produce, {}", self.name)
    }

    pub(crate) fn cached(&self) -> String {
        format!("consume from cache, {}", self.name)
    }

    pub(crate) fn read(&self) -> String {
        format!("consume from disk, {}", self.name)
    }
}

/// How often a record is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rate {
    PerSecond(f64),
    /// A share of what the slower broker takes at most.
    ShareOfPeak,
}

/// Single records whose way is followed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    pub(crate) cell: Cell,
    pub(crate) rate: Rate,
}

const PAYMENT: usize = 0;
const ORDER: usize = 1;

/// The loads; what is read back is the one of one partition.
pub(crate) const CELLS: [Cell; 7] = [
    cell("100 B, lz4, 6 partitions", Values::Bytes(100), "lz4", 6),
    cell("1 KiB, none, 1 partition", Values::Bytes(1_024), "none", 1),
    cell(
        "1 KiB, none, 100 partitions",
        Values::Bytes(1_024),
        "none",
        100,
    ),
    cell("1 KiB, lz4, 6 partitions", Values::Bytes(1_024), "lz4", 6),
    cell(
        "payment, lz4, 6 partitions, contract",
        Values::Data(PAYMENT),
        "lz4",
        6,
    ),
    cell(
        "order, lz4, 6 partitions, contract",
        Values::Data(ORDER),
        "lz4",
        6,
    ),
    cell(
        "order, none, 6 partitions, contract",
        Values::Data(ORDER),
        "none",
        6,
    ),
];

/// The ways.
pub(crate) const WAYS: [Way; 3] = [
    Way {
        name: "end to end, 1 KiB, none, 1000/s",
        cell: CELLS[1],
        rate: Rate::PerSecond(1_000.0),
    },
    Way {
        name: "end to end, 1 KiB, none, 30 % of the lower peak",
        cell: CELLS[1],
        rate: Rate::ShareOfPeak,
    },
    Way {
        name: "end to end, payment, lz4, 6 partitions, contract, 1000/s",
        cell: CELLS[4],
        rate: Rate::PerSecond(1_000.0),
    },
];

const fn cell(name: &'static str, values: Values, codec: &'static str, partitions: i32) -> Cell {
    Cell {
        name,
        values,
        codec,
        partitions,
    }
}
