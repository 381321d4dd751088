//! The part of the broker's `wire` that reads batches, compiled from its own files: without the
//! messages, runtime and database of the broker a target is built in seconds.

#[path = "../../broker/src/wire/batch.rs"]
pub mod batch;
#[path = "../../broker/src/wire/builder.rs"]
pub mod builder;
#[path = "../../broker/src/wire/compress.rs"]
pub mod compress;
#[path = "../../broker/src/wire/records.rs"]
pub mod records;
#[path = "../../broker/src/wire/varint.rs"]
mod varint;
