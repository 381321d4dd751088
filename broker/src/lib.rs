//! A Kafka-compatible broker whose topics have contracts.

pub mod types;
pub mod wire;
