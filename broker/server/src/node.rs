//! The state of a running broker that requests use.

use std::net::SocketAddr;
use std::sync::Arc;

use avouch_contract::Contracts;
use avouch_coordinator::group::Coordinator;
use avouch_log::Log;
use avouch_net::{Clock, RequestMemory};

use crate::admin::Admin;
use crate::admission::Admission;
use crate::config::BrokerConfig;
use crate::metadata::Metadata;
use crate::metrics::Metrics;
use crate::purgatory::Purgatory;
use crate::read::LogReader;
use crate::security::authorizer::Authorizer;

/// A running broker, shared by its connections.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: Arc<BrokerConfig>,
    pub(crate) kafka_address: SocketAddr,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) log: Log,
    pub(crate) reader: LogReader,
    pub(crate) groups: Arc<Coordinator>,
    pub(crate) contracts: Contracts,
    pub(crate) admission: Admission,
    pub(crate) purgatory: Arc<Purgatory>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) authorizer: Authorizer,
    pub(crate) request_memory: Arc<RequestMemory>,
    pub(crate) admin: Arc<Admin>,
}

/// A host and port for clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: i32,
}

impl Node {
    /// Returns the address that clients should connect to: the advertised one, or `local`, the
    /// local address of their connection. Every address in a response comes from here.
    pub(crate) fn advertised(&self, local: SocketAddr) -> Address {
        match &self.config.advertise {
            Some((host, port)) => Address {
                host: host.clone(),
                port: i32::from(*port),
            },
            None => Address {
                host: local.ip().to_string(),
                port: i32::from(local.port()),
            },
        }
    }
}
