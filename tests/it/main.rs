//! Whole-system tests: the real binary, and clients that others wrote. `tests/run` installs what
//! they need and builds the binary first.

mod apart;
mod bad_input;
mod checkout_files;
mod clients;
mod compacted;
mod contract_cases;
mod crash;
#[cfg(target_os = "linux")]
mod failed_commits;
mod group_kills;
mod kafka_tools;
mod member_kills;
mod notes;
mod readme;
mod registry_clients;
mod startup;
mod story;
mod tidy;
