//! The Kafka protocol: conversion between bytes and values, without I/O.
//!
//! Messages are tables of fields and versions (`messages`, one file for each API), read by a
//! bounded [`reader::Reader`] and written as a rope of [`chunk::Chunk`]s by [`writer::Writer`].
//! Record batches have their own modules: `batch` (header), `section` (record bytes), `records`
//! (iteration), `compress`, `builder` (writing).
//!
//! Invariant: for any bytes, decoding returns a value or a [`WireError`]. Allocations are bounded
//! by the size of the input, not by the lengths that it declares.

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
