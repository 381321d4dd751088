//! `avouch serve`: checks addresses and the data directory before it changes the disk, opens
//! registry and broker, serves until a signal, drains, and exits.

use std::future::pending;
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::web::ServiceConfig;
use anyhow::{Context as _, anyhow, bail};
use avouch_broker::{Broker, BrokerConfig};
use avouch_registry::{Database, Registry, RegistryConfig};
use avouch_registry_api::client::RegistryClient;
use avouch_registry_api::remote::RemoteSource;
use avouch_registry_api::source::SchemaSource;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::Durability;
use crate::banner::Banner;
use crate::config::{Role, ServeConfig};
use crate::data_dir;
use crate::http::{self, Health};
use crate::logging;
use crate::ready_file::ReadyFile;

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// When something cannot be opened, when the log fails, and when a second signal interrupts the
/// drain.
pub(crate) fn run(config: ServeConfig) -> anyhow::Result<ExitCode> {
    let suppressed = logging::to_stderr()?;
    let runtime = runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        tokio::spawn(suppressed.report());
        serve(config).await
    });
    // Remaining tasks had their time to drain, or must not delay the exit of a failed process.
    runtime.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve(config: ServeConfig) -> anyhow::Result<()> {
    let mut stop = StopSignals::listen()?;
    let remote = remote_registry(&config.role)?;
    let candidate = data_dir::inspect(&config.data_dir)?;
    let http_listener = bind("http-listen", config.http_listen)?;
    let has_broker = config.role.has_broker();
    let kafka_listener = has_broker
        .then(|| bind("kafka-listen", config.kafka_listen))
        .transpose()?;
    let _data_dir = candidate.claim()?;
    raise_open_files();

    let metrics = prometheus::Registry::new();
    // Recovery may take a while. Interrupting it is like a crash, which the next start recovers
    // from.
    let node = tokio::select! {
        opened = Node::open(&config, kafka_listener, remote, &metrics) => opened?,
        () = stop.next() => return Ok(()),
    };
    let document = http::document(node.registry.is_some(), node.broker.is_some());
    let document = document.to_json().context("the OpenAPI document")?;
    let health = Health::new(metrics, node.registry.clone(), document);
    let http_address = http_listener.local_addr()?;
    let http_server = http::server(http_listener, health.clone(), node.routes())?;
    let http_handle = http_server.handle();
    let mut http_task = tokio::spawn(http_server);

    let kafka_address = node.broker.as_ref().map(Broker::kafka_address);
    let _ready_file = config
        .ready_file
        .as_deref()
        .map(|path| {
            ReadyFile::write(path, kafka_address, http_address)
                .with_context(|| format!("ready file {}", path.display()))
        })
        .transpose()?;
    let banner = banner(&config, kafka_address, http_address).to_string();
    if let Err(error) = io::stdout().write_all(banner.as_bytes()) {
        tracing::warn!(%error, "cannot write the startup banner to stdout");
    }

    tokio::select! {
        () = stop.next() => {}
        reason = node.failed() => {
            bail!("the log failed, so no further write is acknowledged: {reason}")
        }
        ended = &mut http_task => bail!("the HTTP server stopped: {ended:?}"),
    }
    tracing::info!("draining; a second signal stops the process immediately");
    health.drain();
    tokio::select! {
        () = node.drain(http_handle) => Ok(()),
        () = stop.next() => bail!("stopped before the drain was complete"),
    }
}

/// The parts that run in this process.
struct Node {
    registry: Option<Registry>,
    broker: Option<Broker>,
}

impl Node {
    async fn open(
        config: &ServeConfig,
        kafka_listener: Option<TcpListener>,
        remote: Option<RemoteSource>,
        metrics: &prometheus::Registry,
    ) -> anyhow::Result<Self> {
        let registry = match &config.role {
            Role::Both | Role::RegistryOnly => Some(open_registry(config, metrics).await?),
            Role::BrokerOnly { .. } => None,
        };
        let source: Option<Arc<dyn SchemaSource>> = match remote {
            Some(source) => Some(follow(source)),
            None => registry.as_ref().map(Registry::source),
        };
        let broker = match kafka_listener.zip(source) {
            None => None,
            Some((listener, source)) => Some(
                Broker::start(broker_config(config)?, listener, source, metrics)
                    .await
                    .context("cannot start the broker")?,
            ),
        };
        if let (Some(registry), Some(broker)) = (&registry, &broker) {
            registry.serve_cluster(broker.cluster_id());
        }
        Ok(Self { registry, broker })
    }

    fn routes(&self) -> impl FnOnce(&mut ServiceConfig) + Clone + Send + 'static {
        let registry = self.registry.as_ref().map(Registry::app_config);
        let broker = self.broker.as_ref().map(Broker::routes);
        move |service| {
            if let Some(routes) = broker {
                routes(service);
            }
            if let Some(routes) = registry {
                routes(service);
            }
        }
    }

    /// Returns the reason once the process must stop.
    async fn failed(&self) -> String {
        match &self.broker {
            Some(broker) => broker.failed().await,
            None => pending().await,
        }
    }

    /// Stops the broker first: it uses the registry until its end, and the health endpoints report
    /// the drain until then.
    async fn drain(self, http: ServerHandle) {
        if let Some(broker) = self.broker {
            broker.shutdown().await;
        }
        http.stop(true).await;
        if let Some(registry) = self.registry {
            registry.close().await;
        }
    }
}

async fn open_registry(
    config: &ServeConfig,
    metrics: &prometheus::Registry,
) -> anyhow::Result<Registry> {
    let database = match &config.registry_db {
        Some(url) => Database::Postgres(url.clone()),
        None => Database::Sqlite(config.data_dir.join("registry.sqlite")),
    };
    let settings = &config.registry;
    let options = RegistryConfig {
        incompatible_code: settings.incompatible_code,
        compatibility_default: settings.compatibility,
        mode_mutable: settings.mode_mutable,
        body_bytes: settings.body_bytes,
        metrics: metrics.clone(),
        ..RegistryConfig::default()
    };
    let opened = Registry::open(&database, options).await;
    opened.with_context(|| match database {
        Database::Sqlite(path) => format!("cannot open the registry at {}", path.display()),
        Database::Postgres(_) => "cannot open the registry".to_owned(),
    })
}

/// Returns the source of a registry behind HTTP; it sends no request yet.
fn remote_registry(role: &Role) -> anyhow::Result<Option<RemoteSource>> {
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
            Ok(Some(RemoteSource::build(client).context("registry-url")?))
        }
    }
}

/// Returns the source after starting a task that follows the registry's changes while the process
/// runs.
fn follow(source: RemoteSource) -> Arc<RemoteSource> {
    let source = Arc::new(source);
    let follower = Arc::clone(&source);
    tokio::spawn(async move { follower.follow_changes(pending()).await });
    source
}

fn broker_config(config: &ServeConfig) -> anyhow::Result<BrokerConfig> {
    let mut broker = BrokerConfig {
        advertise: config.advertise.clone().map(|at| (at.host, at.port)),
        durability: match config.durability {
            Durability::Fsync => avouch_log::Durability::Fsync,
            Durability::Os => avouch_log::Durability::Os,
        },
        low_space_bytes: config.low_space_bytes,
        keep_schemas: matches!(config.role, Role::BrokerOnly { .. }),
        ..BrokerConfig::new(config.data_dir.clone())
    };
    let configs = config.broker_configs.iter();
    broker.configure(configs.map(|(key, value)| (key.as_str(), value.as_str())))?;
    Ok(broker)
}

fn banner(config: &ServeConfig, kafka: Option<SocketAddr>, http: SocketAddr) -> Banner<'_> {
    Banner {
        kafka,
        http,
        has_registry: match config.role {
            Role::Both | Role::RegistryOnly => true,
            Role::BrokerOnly { .. } => false,
        },
        data_dir: &config.data_dir,
        durability: config.durability,
    }
}

fn bind(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow!("{key} {address} is in use; stop the other process or choose another port")
        }
        _ => anyhow!("{key} {address}: {error}"),
    })
}

/// Raises the limit of open files: each partition and each connection holds file descriptors, and
/// the usual soft limit is 1024.
fn raise_open_files() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) => tracing::debug!(limit, "open files"),
        Err(error) => tracing::warn!(%error, "cannot raise the limit of open files"),
    }
}

/// SIGINT and SIGTERM, caught after `listen`.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl StopSignals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
