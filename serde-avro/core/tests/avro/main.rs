//! The crate against Java, fastavro and a decoder written by the book.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where it finds nothing to unwrap"
)]

mod book;
mod canonical;
mod compatibility;
mod costs;
mod diff;
mod explained;
mod faults;
mod forms;
mod fresh;
mod fuzz;
mod laws;
mod limits;
mod logical;
mod model;
mod normalized;
mod promises;
mod resolve;
mod strictness;
mod validator;
mod verdicts;

use avouch_avro_random as random;
