//! Checks of the fuzz targets: each file of `targets/` passes the fuzzer's bytes to one function.
//!
//! Owns the interpretation of bytes as schemas, data and batches, and the invariants to check. Does
//! not depend on libFuzzer.

pub mod codec;
pub mod datum;
pub mod decompress;
pub mod frames;
pub mod model;
pub mod records;
mod schema;
