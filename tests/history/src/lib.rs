//! Checker for the history of client operations on a log.
//!
//! A test records a [`History`] while it injects faults; [`check`] then reports violated
//! invariants. Every value is sent once, so a value identifies its send. Pure: no clock, no
//! sockets, no client library. The invariants have the numbers of Jepsen's Kafka workload
//! (`jepsen.tests.kafka`), with additional ones for committed offsets, watermarks and
//! acknowledgements.

mod check;
mod event;
mod polls;
mod violation;

pub use check::check;
pub use event::{
    Event, GroupName, History, Observer, PartitionOffset, Producer, Reader, Watermarks,
};
pub use violation::{Invariant, Violation};
