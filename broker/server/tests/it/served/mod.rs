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
mod offsets;
mod partitions;
mod producing;
mod reading;
mod start_configs;
mod topics;
mod versions;
mod writing;
