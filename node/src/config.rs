//! The configuration of a node: resolved values, from neither files nor the environment.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use avouch_broker::BrokerConfig;
use avouch_registry::{PostgresUrl, RegistryConfig};

use crate::file_handles::{FileHandles, TooFewFileHandles};
use crate::http::HttpLimits;

/// The configuration of a [`Node`](crate::Node).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeConfig {
    /// The parts that run in this process. Default: broker and registry.
    pub role: Role,
    /// The data directory, created if it is missing.
    pub data_dir: PathBuf,
    /// The Kafka listener; unused without a broker. Default: a free port on 127.0.0.1.
    pub kafka_listen: SocketAddr,
    /// The HTTP listener: registry, metrics, health. Default: a free port on 127.0.0.1.
    pub http_listen: SocketAddr,
    /// Limits of the HTTP listener.
    pub http: HttpLimits,
    /// Number of files that the process can open (`RLIMIT_NOFILE`). The node limits connections and
    /// open segments so that the log and the databases can always open their files. Default: no
    /// limit.
    pub file_handles_max: Option<u64>,
    /// Settings of the broker. The node overwrites its `data_dir` and `keep_schemas`.
    pub broker: BrokerConfig,
    /// Settings of the registry. The node adds its own and the broker's metrics to
    /// `registry.metrics` and serves them all.
    pub registry: RegistryConfig,
    /// The database that several registry nodes share. Default: an SQLite file in the data
    /// directory.
    pub registry_database: Option<PostgresUrl>,
}

impl NodeConfig {
    /// Returns the defaults for a node with its data in `data_dir`.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        let data_dir = data_dir.into();
        // With port 0 the system assigns a free port.
        let free_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            role: Role::Both,
            broker: BrokerConfig::new(data_dir.clone()),
            data_dir,
            kafka_listen: free_port,
            http_listen: free_port,
            http: HttpLimits::default(),
            file_handles_max: None,
            registry: RegistryConfig::default(),
            registry_database: None,
        }
    }

    /// Lowers the limits of connections and open segments to what `file_handles_max` permits.
    /// Returns the limits of connections if they are lower than configured.
    pub(crate) fn divide_file_handles(&mut self) -> Result<Option<FileHandles>, TooFewFileHandles> {
        let Some(limit) = self.file_handles_max else {
            return Ok(None);
        };
        let limits = &mut self.broker.limits;
        let has_broker = usize::from(self.role.has_broker());
        let configured = FileHandles {
            open_segments: has_broker * limits.open_segments_max,
            kafka_connections: has_broker * limits.connections.connection_handles_max,
            http_connections: self.http.connections_max,
        };
        let possible = FileHandles::divide(limit, configured)?;
        let is_lower = possible.http_connections < configured.http_connections
            || possible.kafka_connections < has_broker * limits.connections.connections_max;
        limits.open_segments_max = possible.open_segments;
        limits.connections.connection_handles_max = possible.kafka_connections;
        self.http.connections_max = possible.http_connections;
        Ok(is_lower.then_some(possible))
    }
}

/// The parts of Avouch that a process runs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Role {
    /// Broker and registry, connected within the process.
    Both,
    /// Only the registry.
    RegistryOnly,
    /// Only the broker.
    BrokerOnly {
        /// URL of its registry, `http://` or `https://`.
        registry_url: String,
        /// PEM file of certificate authorities for an `https://` registry; `None` for the system's.
        registry_ca_file: Option<PathBuf>,
    },
}

impl Role {
    /// Returns true if the process has a Kafka listener.
    #[must_use]
    pub fn has_broker(&self) -> bool {
        match self {
            Self::Both | Self::BrokerOnly { .. } => true,
            Self::RegistryOnly => false,
        }
    }

    /// Returns true if the process has a registry of its own.
    #[must_use]
    pub fn has_registry(&self) -> bool {
        match self {
            Self::Both | Self::RegistryOnly => true,
            Self::BrokerOnly { .. } => false,
        }
    }
}
