//! A Kafka-compatible broker whose topics have contracts: a record that breaks its topic's contract
//! never reaches the log, and its producer is told which record, which field and why.
//!
//! A request flows one way: `server` (sockets, the only clock) reads a frame, `avouch-protocol` makes
//! values of it, `handler` (one file an API key) resolves them against `metadata` and asks a core:
//! `contract` for a verdict on records, `log` for a place in a partition, `group` for a place in a
//! consumer group. The cores know nothing of each other.

mod compute;
mod error;
mod handler;
pub mod metadata;
mod server;

pub use server::{Broker, BrokerConfig, Limits, StartConfigError, StartError};
