//! The threads of an open log, and the state, queue and wake-ups they share. The writer appends to
//! the write-ahead log; the flusher writes segments and checkpoints.

pub(crate) mod flusher;
pub(crate) mod queue;
pub(crate) mod shared;
pub(crate) mod threads;
pub(crate) mod wakeup;
pub(crate) mod writer;
