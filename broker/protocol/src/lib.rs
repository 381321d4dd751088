//! Bytes in, values out: the Kafka protocol. No sockets, no tokio.
//!
//! Messages are tables of fields and versions (`messages`, one file an API), read by a bounded
//! [`reader::Reader`] and written as a rope of [`chunk::Chunk`]s by [`writer::Writer`]. Record
//! batches have their own modules: `batch` (header), `section` (their records), `records`
//! (walking), `compress`, `builder` (writing).
//!
//! Invariant: whatever the bytes, decoding ends with a value or a [`WireError`], and what it
//! allocates is bounded by the bytes that are there, not by what they claim.

pub mod api;
pub mod batch;
pub mod builder;
pub mod chunk;
pub mod compress;
pub mod coordinator_records;
mod error;
pub mod error_code;
pub mod frame;
pub mod header;
pub mod message;
pub mod messages;
pub mod primitives;
pub mod reader;
pub mod records;
pub mod section;
pub mod types;
pub mod varint;
pub mod writer;

pub use error::WireError;
