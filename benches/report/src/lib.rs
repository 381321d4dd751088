//! What the benchmarks share: data sets, the figures' types, their targets, and the page that shows
//! all figures. It measures nothing itself.

pub mod avro;
mod broker;
pub mod contract;
pub mod data;
pub mod log;
pub mod model;
pub mod page;
pub mod registry;
mod targets;
