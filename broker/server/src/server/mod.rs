//! The shell: listener, connections, the only clock, and the order of start and stop.

mod accept;
mod admission;
mod clock;
mod config;
mod config_life;
mod connection;
mod contract_http;
pub(crate) mod disk_space;
mod frames;
mod inflaters;
mod intake;
mod kept_schemas;
mod maintenance;
mod metrics;
mod mutations;
mod node;
mod replies;
mod service;
mod start;
mod start_config;
mod survey;
mod timed_disk;
mod topic_life;
mod waiters;

pub use config::{BrokerConfig, Limits};
pub(crate) use config_life::ConfigResource;
pub(crate) use intake::{InFlight, memory_units};
pub(crate) use mutations::Turn;
pub(crate) use node::Node;
pub(crate) use service::{PendingResponse, RejectedRequest, Service};
pub use start::{Broker, StartError};
pub use start_config::StartConfigError;
