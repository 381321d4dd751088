//! A running broker, asked over a socket.
#![cfg(test)]

mod client;
mod connections;
mod contract;
mod limits;
mod measured;
mod reading;
mod topics;
mod versions;
mod writing;
