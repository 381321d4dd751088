//! Tests of a running broker over a socket, with the protocol's messages.
#![cfg(test)]

mod client;
mod cluster;
mod committed_offsets;
mod config_values;
mod configs;
mod connections;
mod contract;
mod contract_races;
mod fetch_limits;
mod fetch_records;
mod groups;
mod limits;
mod metrics;
mod produce_semantics;
mod produce_validation;
mod read_only_admin;
mod retention;
mod static_configs;
mod topic_admin;
mod topics;
mod versions;
