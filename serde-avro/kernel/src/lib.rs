//! The fast loops of the Avro validator: reading varints, texts and blocks of numbers at the speed
//! of the machine.
//!
//! The only crate of ours with `unsafe`, which stays within it: nothing public is unsafe to use.
//! Its two reasons are loads that reach up to [`PADDING_BYTES`] bytes behind a value without being checked
//! one by one, and vector instructions that the processor must have. [`Padded`] is the proof of the
//! first, [`Level`] of the second.
//!
//! Everything is written once, over [`Lanes`]; the lanes of [`Level::SCALAR`] are safe code, and so
//! the safe twin of every loop: it runs where there are no others, and tests hold the others to it.
//!
//! Knows nothing of schemas and faults: what can't be read is `None`, and the caller finds out why.

mod lanes;
mod level;
mod padded;
mod reader;
mod varint;

pub use lanes::Lanes;
pub use level::{Job, Level};
pub use padded::{PADDING_BYTES, Padded};
pub use reader::Reader;
