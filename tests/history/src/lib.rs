//! What clients of a log did and saw, held against what a log promises.
//!
//! A [`History`] is written down while a test runs, whatever faults it brings; [`check`] judges it
//! afterwards. Every value is sent once, so a value says which send it is. Pure: no clock, no
//! socket, no client library. The invariants are numbered as in Jepsen's Kafka workload
//! (`jepsen.tests.kafka`), with those of committed offsets, watermarks and acks beside them.

mod check;
mod event;
mod polls;
mod violation;

pub use check::check;
pub use event::{Event, GroupName, History, Observer, Place, Producer, Reader, Watermarks};
pub use violation::{Invariant, Violation};
