//! A broker of the release binary and a producer that costs next to nothing, for benches of whole
//! brokers. What the bench of this crate measures is told in `main`.

pub mod client;
pub mod node;
