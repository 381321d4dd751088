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

const fn cell(name: &'static str, values: Values, codec: &'static str, partitions: i32) -> Cell {
    Cell {
        name,
        values,
        codec,
        partitions,
    }
}
