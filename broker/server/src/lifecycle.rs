//! A broker's life: open, recover, listen, drain, close.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use avouch_compute::ComputePool;
use avouch_contract::{ContractConfig, Contracts};
use avouch_coordinator::group::{Coordinator, Replay};
use avouch_coordinator::{InternalTopic, ReplayError};
use avouch_log::{Damage, Listener, Log, LogConfig, OpenError, is_cached, read_range};
use avouch_net::{Clock, ConnectionMetrics, FileAccess, ListenerContext, RequestMemory, listen};
use avouch_protocol::types::{TopicId, TopicPartition};
use avouch_registry_api::source::SchemaSource;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tracing::{error, info, warn};
use utoipa::openapi::OpenApi;

use crate::background::maintenance;
use crate::config::BrokerConfig;
use crate::contract_http;
use crate::decompressor_pool::DecompressorPool;
use crate::fetch_purgatory::Waiters;
use crate::metadata::{CreateRules, Metadata, StoreError, cluster};
use crate::metrics::Metrics;
use crate::metrics::kafka_exporter::Survey;
use crate::metrics::timed_disk::TimedDisk;
use crate::node::{Node, ResponseMemory};
use crate::quota::controller_mutation::MutationQuota;
use crate::schema_snapshot;
use crate::security::authorizer::Authorizer;

/// How long a stopping broker waits for clients to take their replies.
const DRAIN: Duration = Duration::from_secs(10);

/// Why a broker did not start. Nothing is listening afterwards.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data directory cannot be made.
    #[error("cannot use data directory {path}: {error}")]
    DataDir {
        /// The directory.
        path: String,
        /// What the system said.
        error: std::io::Error,
    },
    /// The metadata cannot be opened.
    #[error(transparent)]
    Metadata(#[from] StoreError),
    /// The log cannot be opened.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// `__consumer_offsets` cannot be read.
    #[error("cannot replay __consumer_offsets: {0}")]
    Offsets(#[from] ReplayError),
    /// The task that replays `__consumer_offsets` ended early.
    #[error("cannot replay __consumer_offsets: {0}")]
    Replay(#[from] JoinError),
    /// The socket cannot be used.
    #[error("Kafka listener: {0}")]
    Socket(#[from] std::io::Error),
    /// A metric's name is taken.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    node: Arc<Node>,
    stop: watch::Sender<bool>,
    accepting: JoinHandle<()>,
    background: [JoinHandle<()>; 2],
    keeping_schemas: Option<JoinHandle<()>>,
    poisoned: watch::Receiver<Option<String>>,
}

impl Broker {
    /// Opens the data directory, recovers the log and serves Kafka clients on `listener`, which is
    /// bound already, so that a taken port is found before any file is touched.
    ///
    /// # Errors
    /// When the data cannot be opened; nothing runs afterwards.
    pub async fn start(
        config: BrokerConfig,
        listener: TcpListener,
        source: Arc<dyn SchemaSource>,
        metrics: &prometheus::Registry,
    ) -> Result<Self, StartError> {
        listener.set_nonblocking(true)?;
        let kafka_address = listener.local_addr()?;
        std::fs::create_dir_all(&config.data_dir).map_err(|error| StartError::DataDir {
            path: config.data_dir.display().to_string(),
            error,
        })?;
        let clock = Clock::start();
        let metadata = open_metadata(&config).await?;
        let waiters = Arc::new(Waiters::default());
        let (report_poison, poisoned) = watch::channel(None);
        let own_metrics = Metrics::register(metrics)?;
        let connection_metrics = ConnectionMetrics::register(metrics)?;
        let events = Arc::new(LogEvents {
            metrics: own_metrics.clone(),
            waiters: Arc::clone(&waiters),
            report_poison,
        });
        let disk = TimedDisk {
            clock,
            wal_sync_seconds: own_metrics.wal_sync_seconds.clone(),
        };
        let log = open_log(&config, disk, events).await?;
        reconcile(&metadata, &log).await?;
        let mut config = config;
        let (offsets_topic, groups) =
            start_group_coordinator(&mut config, &metadata, &log, clock).await?;
        let (stop, stopping) = watch::channel(false);
        let contracts = contracts(&config, source, clock, metrics)?;
        let keeping_schemas = if config.keep_schemas {
            Some(schema_snapshot::start(&contracts, &config.data_dir, stopping.clone()).await)
        } else {
            None
        };
        let limits = config.limits;
        let node = Arc::new(Node {
            config,
            kafka_address,
            metadata,
            log,
            groups,
            contracts,
            waiters,
            clock,
            metrics: own_metrics,
            decompressors: DecompressorPool::new(
                avouch_compute::cores(),
                limits.inflated_in_flight_bytes_max,
            ),
            authorizer: Authorizer::AllowAll,
            request_memory: Arc::new(RequestMemory::new(limits.in_flight_bytes_max)),
            mutation_quota: MutationQuota::new(limits.mutations_per_second, limits.mutations_burst),
            response_memory: ResponseMemory::new(&limits),
            compute: ComputePool::shared(),
            offsets_topic,
        });
        metrics.register(Box::new(Survey::new(Arc::downgrade(&node))?))?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let context = listener_context(&node, connection_metrics);
        let service = Arc::clone(&node);
        let accepting = tokio::spawn(listen(listener, context, service, stopping.clone()));
        let background = maintenance::start(&node, &stopping);
        Ok(Self {
            node,
            stop,
            accepting,
            background,
            keeping_schemas,
            poisoned,
        })
    }

    /// Where Kafka clients connect.
    #[must_use]
    pub fn kafka_address(&self) -> SocketAddr {
        self.node.kafka_address
    }

    /// The cluster's id.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        self.node.metadata.cluster_id()
    }

    /// The broker's own HTTP API, to be mounted beside the registry's.
    pub fn routes(&self) -> impl FnOnce(&mut ServiceConfig) + Clone + Send + 'static {
        contract_http::routes(self.node.contracts.feed(), self.node.clock)
    }

    /// The OpenAPI document of [`Self::routes`].
    #[must_use]
    pub fn document() -> OpenApi {
        contract_http::document()
    }

    /// Returns when the log has failed for good, with the reason: the process should exit non-zero
    /// and recover from the log at its next start.
    pub async fn failed(&self) -> String {
        let mut poisoned = self.poisoned.clone();
        match poisoned.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            // The log is gone without having failed: there is nothing to report, ever.
            Err(_) => std::future::pending().await,
        }
    }

    /// Stops reading requests, answers those taken in for ten seconds at most, closes the log.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        self.node.waiters.close();
        self.node.groups.shutdown();
        match tokio::time::timeout(DRAIN, &mut self.accepting).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(%error, "listener failed"),
            Err(_) => {
                warn!("clients do not read their replies: their connections are cut");
                self.accepting.abort();
            }
        }
        self.background.iter().for_each(JoinHandle::abort);
        if let Some(keeping) = self.keeping_schemas
            && let Err(error) = keeping.await
        {
            error!(%error, "schemas are not kept");
        }
        let log = self.node.log.clone();
        match tokio::task::spawn_blocking(move || log.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(%error, "log not closed cleanly"),
            Err(error) => error!(%error, "log not closed cleanly"),
        }
        self.node.metadata.close().await;
    }
}

/// Returns what the listener needs of the broker besides the handlers.
fn listener_context(node: &Node, metrics: ConnectionMetrics) -> Arc<ListenerContext> {
    Arc::new(ListenerContext {
        limits: node.config.limits.connections,
        memory: Arc::clone(&node.request_memory),
        clock: node.clock,
        metrics,
        files: FileAccess {
            is_cached,
            read_range,
        },
    })
}

async fn open_metadata(config: &BrokerConfig) -> Result<Metadata, StoreError> {
    let database = config.data_dir.join("metadata.sqlite");
    Metadata::open(&database, create_rules(config), config.configs.clone()).await
}

fn create_rules(config: &BrokerConfig) -> CreateRules {
    CreateRules {
        default_partition_count: config.default_partition_count,
        partitions_max: config.limits.partitions_max,
        strict_replication: config.strict_replication,
        node_id: config.node_id,
    }
}

/// Replays `__consumer_offsets`, if the topic exists, and starts the group coordinator. An existing
/// topic determines the number of partitions, since a group's records are in one of them.
async fn start_group_coordinator(
    config: &mut BrokerConfig,
    metadata: &Metadata,
    log: &Log,
    clock: Clock,
) -> Result<(Arc<InternalTopic>, Arc<Coordinator>), StartError> {
    let cluster = metadata.cluster();
    let topic = cluster.topic(cluster::OFFSETS_TOPIC);
    if let Some(topic) = topic {
        let (is, asked) = (topic.row.partition_count, config.groups.offsets_partitions);
        if is != asked && config.configs.contains_key("offsets.topic.num.partitions") {
            warn!(is, asked, "offsets.topic.num.partitions stays as it is");
        }
        config.groups.offsets_partitions = is;
    }
    let offsets_topic = Arc::new(InternalTopic::new(log.clone(), move || clock.now()));
    let mut replay = Replay::new(config.groups.clone());
    if let Some(topic) = topic {
        offsets_topic.open(topic.id());
        let (topic, partitions) = (Arc::clone(&offsets_topic), topic.partitions());
        let limits = config.limits.inflation();
        let reading = tokio::task::spawn_blocking(move || {
            let mut sink = |key: &[u8], value: Option<&[u8]>| replay.record(key, value);
            topic.replay(partitions, limits, &mut sink)?;
            Ok::<Replay, ReplayError>(replay)
        });
        replay = reading.await??;
    }
    let steady = Arc::new(move || clock.steady());
    let groups = Coordinator::start(replay, offsets_topic.clone(), steady);
    Ok((offsets_topic, groups))
}

fn contracts(
    config: &BrokerConfig,
    source: Arc<dyn SchemaSource>,
    clock: Clock,
    metrics: &prometheus::Registry,
) -> Result<Contracts, prometheus::Error> {
    let contract_config = ContractConfig {
        auto_exclude: config.auto_exclude.clone(),
        ..ContractConfig::default()
    };
    let monotonic = Arc::new(move || clock.monotonic_ms());
    Contracts::new(source, contract_config, monotonic, metrics)
}

struct LogEvents {
    metrics: Metrics,
    waiters: Arc<Waiters>,
    report_poison: watch::Sender<Option<String>>,
}

impl Listener for LogEvents {
    fn advanced(&self, partitions: &[TopicPartition]) {
        self.waiters.wake(partitions);
    }

    fn poisoned(&self, reason: &str) {
        // Told once, by whoever ends the process because of it.
        self.report_poison.send_replace(Some(reason.to_owned()));
    }

    fn low_space(&self, is_low: bool) {
        self.metrics.low_space.set(i64::from(is_low));
        if is_low {
            error!("too little space left on the disk: producers are refused until there is more");
        } else {
            info!("there is space on the disk again: producers are served");
        }
    }

    fn damaged(&self, partition: TopicPartition, damage: Damage) {
        self.metrics.damaged_ranges.inc();
        let (from, to) = (damage.from.0, damage.to.0);
        error!(%partition, from, to, "offsets are damaged; the rest of the partition is served");
    }
}

async fn open_log(
    config: &BrokerConfig,
    disk: TimedDisk,
    events: Arc<LogEvents>,
) -> Result<Log, StartError> {
    let mut log_config = LogConfig::new(config.data_dir.join("log"));
    log_config.durability = config.durability;
    log_config.low_space_bytes = config.low_space_bytes;
    log_config.producers_max = config.limits.producers_max;
    let damaged_ranges = events.metrics.damaged_ranges.clone();
    let opened = tokio::task::spawn_blocking(move || Log::open(log_config, Arc::new(disk), events))
        .await
        .map_err(std::io::Error::other)?;
    let (log, report) = opened?;
    for (from, to) in &report.damaged_frames {
        damaged_ranges.inc();
        warn!(
            from,
            to, "frames of the write-ahead log are lost; what could be told of them follows"
        );
    }
    info!(?report, "log recovered");
    Ok(log)
}

/// Brings the log in line with the metadata: partitions of every topic exist, data of deleted
/// topics goes, data that nobody knows is kept and reported.
async fn reconcile(metadata: &Metadata, log: &Log) -> Result<(), StartError> {
    let cluster = metadata.cluster();
    for topic in cluster.topics() {
        for partition in topic.partitions() {
            if let Err(error) = log.create_partition(partition) {
                error!(%partition, %error, "partition not opened");
            }
        }
        maintenance::configure(log, topic);
    }
    let tombstones: HashSet<TopicId> = metadata.tombstones().await?.into_iter().collect();
    for partition in log.known_partitions() {
        let topic = &partition.topic;
        if cluster.topic_by_id(*topic).is_none() && !tombstones.contains(topic) {
            warn!(%partition, "data of an unknown topic is kept aside");
        }
    }
    let log = log.clone();
    let deletion =
        tokio::task::spawn_blocking(move || maintenance::delete_leftovers(&log, &tombstones));
    Ok(deletion.await.map_err(std::io::Error::other)?)
}
