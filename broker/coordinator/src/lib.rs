//! Coordinators: pure state machines whose state is stored in internal topics.
//!
//! - `shell` runs a [`Machine`]: it passes requests, the time and outcomes of appends to it and
//!   carries out its effects.
//! - `internal_topic` is where records are appended and replayed from.
//! - [`group`] is the machine of consumer groups and its typed requests.

pub mod group;
mod internal_topic;
mod shell;

pub use internal_topic::{InternalTopic, ReplayError};
pub use shell::{
    Clock, Effects, KeyValue, Machine, RecordLog, Shell, StoreDone, StoreFailed, Ticket, Token,
};
