//! A Kafka-compatible broker whose topics have contracts: a record that violates its topic's
//! contract is never appended, and its producer receives the record, the field and the reason.
//!
//! A request passes through in one direction: `avouch_net` reads a frame, `avouch_protocol` decodes
//! it, `handler` (one file for each API key) resolves it against `metadata` and calls a core:
//! `avouch_contract` checks records, `avouch_log` appends and reads batches, `avouch_coordinator`
//! runs consumer groups. The cores do not import each other.

mod admin;
mod admission;
mod background;
mod backup;
mod config;
mod contract_http;
mod decompressor_pool;
mod error;
mod handler;
mod lifecycle;
mod metadata;
mod metrics;
mod node;
mod purgatory;
mod quota;
mod read;
mod schema_snapshot;
mod security;

pub use avouch_log::{HANDLES_PER_OPEN_FILE, OTHER_LOG_HANDLES};

pub use backup::BackupSource;
pub use config::start_config::StartConfigError;
pub use config::{BrokerConfig, Limits};
pub use lifecycle::{Broker, StartError};
pub use metadata::{METADATA_FILE, StoreError};
