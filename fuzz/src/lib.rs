//! What the fuzz targets check: each of `targets/` hands its bytes to one function of here.
//!
//! Owns how a fuzzer's bytes are read as schemas, data and batches, and the laws that they are held
//! to. Knows nothing of libFuzzer.

pub mod datum;
pub mod frames;
pub mod inflate;
pub mod model;
pub mod records;
mod schema;
