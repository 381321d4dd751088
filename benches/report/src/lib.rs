//! Parts that all benchmarks share: data sets, result types, targets, and the renderer of
//! `docs/benchmarks.md`. It measures nothing itself.

pub mod avro;
mod broker;
pub mod codec;
pub mod contract;
pub mod data;
pub mod log;
pub mod model;
pub mod page;
pub mod registry;
mod targets;
