//! Avouch in the current process: broker, registry, and the HTTP listener for the registry's API,
//! metrics, health and the OpenAPI document.
//!
//! The crate assembles the parts: it locks the data directory, binds the listeners, opens registry
//! and broker in order, and stops them in order. Broker and registry meet in the trait
//! `SchemaSource`, which is the registry itself or an HTTP client of a remote one. The crate reads
//! neither arguments nor environment and installs no signal handlers; the `avouch` binary does.
//!
//! ```
//! use avouch_node::{Node, NodeConfig};
//! use avouch_registry_api::client::{RegisterOptions, RegistryClient};
//! use avouch_registry_api::rest::RegisterRequest;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::tempdir()?;
//! let node = Node::start(NodeConfig::new(dir.path())).await?;
//! let kafka = node.kafka_address().ok_or("the node has a broker")?;
//! println!("bootstrap.servers={kafka}");
//!
//! let url = format!("http://{}", node.http_address());
//! let registry = RegistryClient::builder(&url).build()?;
//! let schema = RegisterRequest::avro(r#""string""#);
//! let registered = registry.register("names-value", &schema, RegisterOptions::default()).await?;
//! assert!(registered.id.is_some());
//!
//! node.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod backup;
mod config;
mod data_dir;
mod error;
mod file_handles;
mod http;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use std::fmt;
use std::future::pending;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use actix_web::web::ServiceConfig;
use avouch_registry::{Database, Registry};
use avouch_registry_api::client::RegistryClient;
use avouch_registry_api::remote::RemoteSource;
use avouch_registry_api::rest::OmittedRegistry;
use avouch_registry_api::source::SchemaSource;
use tokio::task::{AbortHandle, JoinHandle};
use tracing::warn;

pub use avouch_broker::{Broker, BrokerConfig, Limits, StartConfigError};
pub use avouch_registry::{PostgresUrl, RegistryConfig, accept_loss};

pub use crate::backup::{
    BackupFile, BadBackup, FileError, Manifest, RestoreError, restore, verify_backup,
};
pub use crate::config::{NodeConfig, Role};
pub use crate::data_dir::{DataDir, DataDirError};
pub use crate::error::{Failure, StartError};
pub use crate::file_handles::TooFewFileHandles;

use crate::backup::{BackupSources, Backups};
pub use crate::http::HttpLimits;
use crate::http::{Health, HttpContext, HttpHandle};

/// The registry's SQLite database in the data directory.
pub const REGISTRY_FILE: &str = "registry.sqlite";

/// A running node: the parts of its [`Role`] over one data directory.
///
/// Stop it with [`Node::shutdown`]. A node that is dropped without it stops like a killed process:
/// acknowledged records are safe, and the next start recovers them.
pub struct Node {
    parts: Parts,
    health: Health,
    http_address: SocketAddr,
    http_handle: HttpHandle,
    http_task: JoinHandle<io::Result<()>>,
    backups: Backups,
    /// Unlocked last, when no part writes any more.
    _data_dir: DataDir,
}

impl Node {
    /// Starts a node and returns it once it accepts requests on all listeners.
    ///
    /// Addresses and data directory are checked before the disk is changed. Recovery of the log may
    /// take a while; dropping the future during it is like a crash.
    ///
    /// # Errors
    /// When a listener, the data directory, the registry or the broker cannot be opened.
    pub fn start(mut config: NodeConfig) -> LocalBoxFuture<'static, Result<Self, StartError>> {
        // Boxed, so that this crate compiles the future instead of each crate that awaits it.
        async move {
            let lowered = config.divide_file_handles()?;
            let remote = remote_registry(&config.role)?;
            // Only reads, and fails if another node holds the directory.
            let candidate = data_dir::inspect(&config.data_dir)?;
            // A port in use is reported before the directory is created.
            let (http_listener, http_address) = bind("http-listen", config.http_listen)?;
            let kafka_listener = match config.role.has_broker() {
                true => Some(bind("kafka-listen", config.kafka_listen)?.0),
                false => None,
            };
            let data_dir = candidate.claim()?;
            // A clone shares the metrics: all parts register in one place.
            let metrics = config.registry.metrics.clone();
            let http_limits = config.http;
            let (path, is_postgres) = (config.data_dir.clone(), config.registry_database.is_some());
            let parts = Parts::open(config, kafka_listener, remote).await?;
            let backups = Backups::new(parts.backup_sources(path, is_postgres));
            let opened = parts.health(metrics.clone()).and_then(|health| {
                let memory = parts.broker.as_ref().map(Broker::request_memory);
                let context = HttpContext::new(http_limits, memory, &metrics)?;
                let shared = (health.clone(), backups.clone());
                let server = http::server(http_listener, context, shared, parts.routes());
                let (server, handle) = server.map_err(StartError::Http)?;
                Ok((health, server, handle))
            });
            let (health, server, http_handle) = match opened {
                Ok(opened) => opened,
                Err(error) => {
                    parts.close(None).await;
                    return Err(error);
                }
            };
            // Not before: a node that does not start reports its error only.
            if let Some(limits) = lowered {
                let (kafka, http) = (limits.kafka_connections, limits.http_connections);
                warn!(
                    kafka,
                    http, "the limit of open files lowers the limits of connections"
                );
            }
            Ok(Self {
                parts,
                health,
                http_address,
                http_handle,
                http_task: tokio::spawn(server),
                backups,
                _data_dir: data_dir,
            })
        }
        .boxed_local()
    }

    /// Returns the address of the Kafka listener, `None` for a node without broker.
    #[must_use]
    pub fn kafka_address(&self) -> Option<SocketAddr> {
        self.parts.broker.as_ref().map(Broker::kafka_address)
    }

    /// Returns the address of the HTTP listener.
    #[must_use]
    pub fn http_address(&self) -> SocketAddr {
        self.http_address
    }

    /// Returns the reason once the node cannot continue; until then it waits. The process should
    /// exit with an error or start a new node, which recovers from the log.
    pub async fn failed(&mut self) -> Failure {
        let log_failed = async {
            match &self.parts.broker {
                Some(broker) => broker.failed().await,
                // A registry has no failure that only a restart repairs.
                None => pending().await,
            }
        };
        tokio::select! {
            reason = log_failed => Failure::Log(reason),
            ended = &mut self.http_task => Failure::Http(ended),
        }
    }

    /// Drains and stops all parts. Connected clients receive the responses to their requests, for
    /// ten seconds at most; `/readyz` returns 503 meanwhile. A running backup is stopped.
    pub async fn shutdown(self) {
        self.health.drain();
        self.backups.stop().await;
        self.parts.close(Some(self.http_handle)).await;
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("kafka_address", &self.kafka_address())
            .field("http_address", &self.http_address)
            .finish_non_exhaustive()
    }
}

/// The parts that a node's role names.
struct Parts {
    registry: Option<Registry>,
    broker: Option<Broker>,
    /// The task that follows the changes of a remote registry.
    _follower: Option<AbortOnDrop>,
}

impl Parts {
    async fn open(
        config: NodeConfig,
        kafka_listener: Option<TcpListener>,
        remote: Option<RemoteSource>,
    ) -> Result<Self, StartError> {
        let metrics = config.registry.metrics.clone();
        let mut parts = Self {
            registry: None,
            broker: None,
            _follower: None,
        };
        let mut broker_config = config.broker;
        broker_config.data_dir.clone_from(&config.data_dir);
        // A standalone broker must start and check records while its registry is unreachable.
        broker_config.keep_schemas = remote.is_some();
        let source: Arc<dyn SchemaSource> = match remote {
            Some(source) => {
                let (source, follower) = follow(source);
                parts._follower = Some(follower);
                source
            }
            None => {
                let sqlite = config.data_dir.join(REGISTRY_FILE);
                let registry =
                    open_registry(sqlite, config.registry_database, config.registry).await?;
                let source = registry.source();
                parts.registry = Some(registry);
                source
            }
        };
        let Some(listener) = kafka_listener else {
            return Ok(parts);
        };
        match Broker::start(broker_config, listener, source, &metrics).await {
            Ok(broker) => {
                if let Some(registry) = &parts.registry {
                    // Confluent's tools request the id of the Kafka cluster from the registry.
                    registry.serve_cluster(broker.cluster_id());
                }
                parts.broker = Some(broker);
                Ok(parts)
            }
            Err(error) => {
                parts.close(None).await;
                Err(StartError::Broker(error))
            }
        }
    }

    fn health(&self, metrics: prometheus::Registry) -> Result<Health, StartError> {
        let document = http::document(self.registry.is_some(), self.broker.is_some());
        let document = document.to_json().map_err(StartError::Document)?;
        Ok(Health::new(metrics, self.registry.clone(), document))
    }

    fn backup_sources(&self, data_dir: PathBuf, is_postgres: bool) -> BackupSources {
        let omitted = match (&self.registry, is_postgres) {
            (None, _) => Some(OmittedRegistry::Remote),
            (Some(_), true) => Some(OmittedRegistry::Postgres),
            (Some(_), false) => None,
        };
        BackupSources {
            data_dir,
            broker: self.broker.as_ref().map(Broker::backup_source),
            registry: self.registry.clone().filter(|_| omitted.is_none()),
            omitted,
        }
    }

    fn routes(&self) -> impl FnOnce(&mut ServiceConfig) + Clone + Send + 'static {
        let registry = self.registry.as_ref().map(Registry::app_config);
        let broker = self.broker.as_ref().map(Broker::routes);
        move |service| {
            if let Some(routes) = broker {
                routes(service);
            }
            // After the broker's, because the registry matches every path.
            if let Some(routes) = registry {
                routes(service);
            }
        }
    }

    /// Closes the parts after their requests. The order is that of dependence: the broker uses the
    /// registry until its end, and the health endpoints report the drain until then.
    async fn close(self, http: Option<HttpHandle>) {
        if let Some(broker) = self.broker {
            broker.shutdown().await;
        }
        if let Some(http) = http {
            http.stop().await;
        }
        if let Some(registry) = self.registry {
            registry.close().await;
        }
    }
}

async fn open_registry(
    sqlite: PathBuf,
    postgres: Option<PostgresUrl>,
    config: RegistryConfig,
) -> Result<Registry, StartError> {
    match postgres {
        Some(url) => Registry::open(&Database::Postgres(url), config)
            .await
            .map_err(StartError::RegistryDatabase),
        None => {
            let opened = Registry::open(&Database::Sqlite(sqlite.clone()), config).await;
            opened.map_err(|error| StartError::RegistryFile {
                path: sqlite,
                error,
            })
        }
    }
}

/// Returns the source of a remote registry; it sends no request yet.
fn remote_registry(role: &Role) -> Result<Option<RemoteSource>, StartError> {
    match role {
        Role::Both | Role::RegistryOnly => Ok(None),
        Role::BrokerOnly {
            registry_url,
            registry_ca_file,
        } => {
            let mut client = RegistryClient::builder(registry_url);
            if let Some(ca_file) = registry_ca_file {
                client = client.ca_file(ca_file);
            }
            Ok(Some(RemoteSource::build(client)?))
        }
    }
}

/// Starts a task that follows the registry's changes, and returns the source with the task.
fn follow(source: RemoteSource) -> (Arc<RemoteSource>, AbortOnDrop) {
    let source = Arc::new(source);
    let follower = Arc::clone(&source);
    // Without end of its own: it is aborted when the node is dropped.
    let task = tokio::spawn(async move { follower.follow_changes(pending()).await });
    (source, AbortOnDrop(task.abort_handle()))
}

/// A task that ends when this is dropped.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn bind(
    listener: &'static str,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = TcpListener::bind(address).and_then(|socket| {
        let bound_to = socket.local_addr()?;
        Ok((socket, bound_to))
    });
    bound.map_err(|error| match error.kind() {
        // The most frequent error gets a message with the solution.
        io::ErrorKind::AddrInUse => StartError::AddressInUse { listener, address },
        _ => StartError::Bind {
            listener,
            address,
            error,
        },
    })
}
