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

/// A decoder by the specification, which the validator must agree with.
#[path = "../../serde-avro/core/tests/avro/book.rs"]
mod book;
/// What texts and pairs of schemas must keep to.
#[path = "../../serde-avro/core/tests/avro/promises.rs"]
mod promises;
/// Schema resolution by the specification, which what is compatible must get through.
#[path = "../../serde-avro/core/tests/avro/resolve.rs"]
mod resolve;
