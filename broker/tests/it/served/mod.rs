//! A running broker, asked over a socket.
#![cfg(test)]

mod brokers;
mod client;
mod configs;
mod connections;
mod contract;
mod contract_races;
mod fetching;
mod groups;
mod life;
mod limits;
mod measured;
mod partitions;
mod producing;
mod reading;
mod topics;
mod versions;
mod writing;
