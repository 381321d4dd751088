//! The network: listener, connections and their limits, frames in and responses out, and the only
//! clock.

pub(crate) mod accept;
pub(crate) mod admission;
pub(crate) mod clock;
pub(crate) mod connection;
pub(crate) mod frames;
pub(crate) mod intake;
pub(crate) mod replies;
pub(crate) mod service;
