//! The threads of an open log and what they share: the writer, which appends to the write-ahead
//! log, the flusher, which writes segments and checkpoints, and the queue and wake-ups between
//! them.

pub(crate) mod flusher;
pub(crate) mod queue;
pub(crate) mod shared;
pub(crate) mod threads;
pub(crate) mod wakeup;
pub(crate) mod writer;
