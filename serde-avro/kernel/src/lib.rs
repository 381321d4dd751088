//! Fast loops of the Avro validator in `avouch-avro`: skipping over varints, strings and blocks of
//! numbers with SIMD instructions.
//!
//! This is the only crate of the workspace with `unsafe` code, and no public function is unsafe.
//! Two things need it: loads of up to [`PADDING_BYTES`] past a value without a bounds check for
//! each, and instructions that the processor must support. [`Padded`] proves the former, [`Level`]
//! the latter.
//!
//! Each loop is written once, generic over [`Lanes`]. The lanes of [`Level::SCALAR`] are safe code;
//! they run on processors without the others, and tests compare the others with them.
//!
//! [`utf8`] checks borrowed strings for the decoder.
//!
//! The crate does not know schemas or faults. A [`Reader`] returns `None` for anything that it
//! cannot read, and the caller determines the reason.

mod lanes;
mod level;
mod padded;
mod reader;
mod text;
mod varint;

pub use lanes::Lanes;
pub use level::{Job, Level};
pub use padded::{PADDING_BYTES, Padded};
pub use reader::Reader;
pub use text::utf8;
