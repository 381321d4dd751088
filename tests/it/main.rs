//! End-to-end tests: the release binary with third-party clients. `tests/run` installs the clients
//! and builds the binary first.

mod acceptance;
mod admin_clients;
#[cfg(target_os = "linux")]
mod backup;
mod broker_kills;
mod checkout_files;
mod clients;
mod compaction;
mod contract_cases;
mod crash;
mod decompression;
#[cfg(target_os = "linux")]
mod disk_faults;
#[cfg(target_os = "linux")]
mod failed_commits;
mod file_handles;
#[cfg(target_os = "linux")]
mod hostile_frames;
mod hostile_input;
mod kafka_tools;
mod member_kills;
mod quickstart;
mod readme;
mod registry_clients;
mod rejected_batches;
mod schema_changes;
mod serializers;
mod standalone;
mod startup;
mod tidy;
