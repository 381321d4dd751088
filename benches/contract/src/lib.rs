//! A broker process of the release binary and a producer with pre-encoded requests, shared by
//! benchmarks of the whole broker. `main` describes the benchmark of this crate.

pub mod client;
pub mod node;
