//! Tests of the crate against Java, fastavro and a reference decoder.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails where it finds nothing to unwrap"
)]

mod budgets;
mod codec;
mod compatibility;
mod diff;
mod differential;
mod explanations;
mod faults;
mod fuzz;
mod limits;
mod logical_types;
mod normalization;
mod oracle_export;
mod parser;
mod printing;
mod properties;
mod resolution;
#[cfg(feature = "serde")]
mod serde_types;
mod strictness;
mod validator;
mod verdicts;
