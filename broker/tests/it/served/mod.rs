//! A running broker, asked over a socket.

mod client;
mod connections;
mod contract;
mod reading;
mod topics;
mod versions;
mod writing;
