//! Starts and stops a broker: open, recover, listen, drain, close.

use std::collections::HashSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::web::ServiceConfig;
use avouch_compute::ComputePool;
use avouch_contract::{ContractConfig, Contracts};
use avouch_coordinator::group::{Coordinator, Replay};
use avouch_coordinator::{InternalTopic, ReplayError};
use avouch_log::{CorruptRange, Listener, Log, LogConfig, OpenError, is_cached, read_range};
use avouch_net::{
    Clock, ConnectionMetrics, FileAccess, ListenerContext, RequestMemory, WarningLimit, listen,
};
use avouch_protocol::compress::Limits;
use avouch_protocol::types::{TopicId, TopicPartition};
use avouch_registry_api::source::SchemaSource;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinHandle};
use tracing::{error, info, warn};
use utoipa::openapi::OpenApi;

use crate::admin::Admin;
use crate::admin::contracts::Violations;
use crate::admission::Admission;
use crate::background::maintenance;
use crate::backup::BackupSource;
use crate::config::BrokerConfig;
use crate::contract_http;
use crate::decompressor_pool::DecompressorPool;
use crate::metadata::{CreateRules, METADATA_FILE, Metadata, StoreError, cluster};
use crate::metrics::kafka_exporter::KafkaExporter;
use crate::metrics::timed_disk::TimedDisk;
use crate::metrics::{BackgroundTask, Metrics};
use crate::node::Node;
use crate::purgatory::Purgatory;
use crate::quota::controller_mutation::MutationQuota;
use crate::read::LogReader;
use crate::schema_snapshot;
use crate::security::authorizer::Authorizer;

/// Maximum wait of a stopping broker for clients to receive their responses.
const DRAIN_MAX: Duration = Duration::from_secs(10);

/// Reason why a broker did not start. Nothing is listening afterwards.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data directory cannot be created.
    #[error("cannot use data directory {path}: {error}")]
    DataDir {
        /// The directory.
        path: String,
        /// The error of the system.
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
    /// A metric of this name is registered already.
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
    schema_snapshot: Option<JoinHandle<()>>,
    failure: watch::Receiver<Option<String>>,
}

impl Broker {
    /// Opens the data directory, recovers the log and serves Kafka clients on `listener`. The
    /// listener is bound by the caller, so that a port in use is reported before any file is
    /// touched.
    ///
    /// # Errors
    /// If the data cannot be opened; nothing runs afterwards.
    pub fn start(
        config: BrokerConfig,
        listener: TcpListener,
        source: Arc<dyn SchemaSource>,
        metrics: &prometheus::Registry,
    ) -> BoxFuture<'_, Result<Self, StartError>> {
        // Boxed, so that this crate compiles the future instead of each crate that awaits it.
        async move {
            listener.set_nonblocking(true)?;
            let kafka_address = listener.local_addr()?;
            let clock = Clock::start();
            let mut config = config;
            let metadata = Arc::new(open_metadata(&mut config).await?);
            let purgatory = Arc::new(Purgatory::new(config.limits.delayed_fetch_bytes_max));
            let own_metrics = Metrics::register(metrics)?;
            let connection_metrics = ConnectionMetrics::register(metrics)?;
            let (events, failure) = LogEvents::new(&own_metrics, clock, &purgatory);
            let has_topics = metadata.cluster().topics().next().is_some();
            let log = open_log(&config, has_topics, clock, events).await?;
            reconcile(&metadata, &log).await?;
            config.groups.offsets_partitions = offsets_partitions(&config, &metadata);
            let (offsets_topic, groups) =
                start_group_coordinator(&config, &metadata, &log, clock).await?;
            let (stop, stopping) = watch::channel(false);
            let contracts = contracts(&config, source, clock, metrics)?;
            let schema_snapshot = keep_schemas(&config, &contracts, &stopping).await;
            let admission = admission(&config, &metadata, &log, &contracts, clock);
            let limits = config.limits;
            let config = Arc::new(config);
            let admin = Arc::new(Admin {
                config: Arc::clone(&config),
                kafka_address,
                metadata: Arc::clone(&metadata),
                log: log.clone(),
                groups: Arc::clone(&groups),
                offsets_topic,
                purgatory: Arc::clone(&purgatory),
                mutation_quota: MutationQuota::new(
                    limits.mutations_per_second,
                    limits.mutations_burst,
                ),
                violations: Violations::new(contracts.feed(), clock),
                clock,
            });
            let node = Arc::new(Node {
                config,
                kafka_address,
                metadata,
                reader: LogReader::new(log.clone(), &limits),
                log,
                groups,
                contracts,
                admission,
                purgatory,
                clock,
                metrics: own_metrics,
                authorizer: Authorizer::AllowAll,
                request_memory: Arc::new(RequestMemory::new(limits.in_flight_bytes_max)),
                admin,
            });
            // Weak, because the caller's metric registry outlives the broker.
            metrics.register(Box::new(KafkaExporter::new(Arc::downgrade(&node))?))?;
            let listener = tokio::net::TcpListener::from_std(listener)?;
            let context = listener_context(&node, connection_metrics);
            let accepting = listen(listener, context, Arc::clone(&node), stopping.clone());
            let accepting = tokio::spawn(accepting);
            let background = maintenance::start(&node, &stopping);
            Ok(Self {
                node,
                stop,
                accepting,
                background,
                schema_snapshot,
                failure,
            })
        }
        .boxed()
    }

    /// Returns the address of the Kafka listener.
    #[must_use]
    pub fn kafka_address(&self) -> SocketAddr {
        self.node.kafka_address
    }

    /// Returns the memory of requests, which the HTTP listener of the process shares.
    #[must_use]
    pub fn request_memory(&self) -> Arc<RequestMemory> {
        Arc::clone(&self.node.request_memory)
    }

    /// Returns the cluster's id.
    #[must_use]
    pub fn cluster_id(&self) -> &str {
        self.node.metadata.cluster_id()
    }

    /// Returns the source of backups of the broker.
    #[must_use]
    pub fn backup_source(&self) -> BackupSource {
        BackupSource::new(&self.node)
    }

    /// Returns a function that mounts the broker's HTTP API.
    pub fn routes(&self) -> impl FnOnce(&mut ServiceConfig) + Clone + Send + 'static {
        contract_http::routes(self.node.admin.violations.clone())
    }

    /// Returns the OpenAPI document of [`Self::routes`].
    #[must_use]
    pub fn document() -> OpenApi {
        contract_http::document()
    }

    /// Waits until the log has failed and returns the reason. The log does not recover while the
    /// process runs: exit with a non-zero code, so that the next start recovers it.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.clone();
        match failure.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            // The log was closed without a failure.
            Err(_) => std::future::pending().await,
        }
    }

    /// Stops accepting requests, sends the responses of accepted ones for up to 10 s, and closes
    /// the log.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        // Delayed operations would hold their connections open for up to their timeouts.
        self.node.purgatory.close();
        self.node.groups.shutdown();
        match tokio::time::timeout(DRAIN_MAX, &mut self.accepting).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(%error, "listener failed"),
            Err(_) => {
                warn!("clients do not read their responses; closing their connections");
                self.accepting.abort();
            }
        }
        self.background.iter().for_each(JoinHandle::abort);
        if let Some(snapshot) = self.schema_snapshot
            && let Err(error) = snapshot.await
        {
            error!(%error, "schema snapshot not written");
        }
        // Last, because the drained requests append and commit offsets.
        let log = self.node.log.clone();
        match tokio::task::spawn_blocking(move || log.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!(%error, "log not closed cleanly"),
            Err(error) => error!(%error, "log not closed cleanly"),
        }
        self.node.metadata.close().await;
    }
}

/// Returns the parts of the broker that the listener uses.
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

/// Opens the metadata and applies its broker configs to `config`.
async fn open_metadata(config: &mut BrokerConfig) -> Result<Metadata, StartError> {
    std::fs::create_dir_all(&config.data_dir).map_err(|error| StartError::DataDir {
        path: config.data_dir.display().to_string(),
        error,
    })?;
    let database = config.data_dir.join(METADATA_FILE);
    let metadata = Metadata::open(&database, create_rules(config), config.configs.clone()).await?;
    config
        .apply_changes(metadata.cluster().broker_configs())
        .map_err(StoreError::from)?;
    Ok(metadata)
}

fn create_rules(config: &BrokerConfig) -> CreateRules {
    CreateRules {
        default_partition_count: config.default_partition_count,
        partitions_max: config.limits.partitions_max,
        strict_replication: config.strict_replication,
        node_id: config.node_id,
    }
}

/// Returns the number of partitions of `__consumer_offsets`. An existing topic determines it, since
/// the partition of a group's records depends on it.
fn offsets_partitions(config: &BrokerConfig, metadata: &Metadata) -> i32 {
    let configured = config.groups.offsets_partitions;
    let cluster = metadata.cluster();
    let Some(topic) = cluster.topic(cluster::OFFSETS_TOPIC) else {
        return configured;
    };
    let existing = topic.row.partition_count;
    if existing != configured && config.configs.contains_key("offsets.topic.num.partitions") {
        warn!(
            existing,
            configured, "offsets.topic.num.partitions applies to a new topic only"
        );
    }
    existing
}

/// Replays `__consumer_offsets`, if the topic exists, and starts the group coordinator.
async fn start_group_coordinator(
    config: &BrokerConfig,
    metadata: &Metadata,
    log: &Log,
    clock: Clock,
) -> Result<(Arc<InternalTopic>, Arc<Coordinator>), StartError> {
    let cluster = metadata.cluster();
    let topic = cluster.topic(cluster::OFFSETS_TOPIC);
    let offsets_topic = Arc::new(InternalTopic::new(log.clone(), move || clock.now()));
    let mut replay = Replay::new(config.groups.clone());
    if let Some(topic) = topic {
        offsets_topic.open(topic.id());
        let (topic, partitions) = (Arc::clone(&offsets_topic), topic.partitions());
        let replayed = tokio::task::spawn_blocking(move || {
            let mut sink = |key: &[u8], value: Option<&[u8]>| replay.record(key, value);
            topic.replay(partitions, Limits::STORED, &mut sink)?;
            Ok::<Replay, ReplayError>(replay)
        });
        replay = replayed.await??;
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

/// Starts the snapshot of cached schemas, if it is configured.
async fn keep_schemas(
    config: &BrokerConfig,
    contracts: &Contracts,
    stopping: &watch::Receiver<bool>,
) -> Option<JoinHandle<()>> {
    match config.keep_schemas {
        true => Some(schema_snapshot::start(contracts, &config.data_dir, stopping.clone()).await),
        false => None,
    }
}

fn admission(
    config: &BrokerConfig,
    metadata: &Arc<Metadata>,
    log: &Log,
    contracts: &Contracts,
    clock: Clock,
) -> Admission {
    Admission {
        clock,
        metadata: Arc::clone(metadata),
        log: log.clone(),
        contracts: contracts.clone(),
        compute: ComputePool::shared(),
        decompressors: DecompressorPool::new(
            avouch_compute::cores(),
            config.limits.decompressed_in_flight_bytes_max,
        ),
        strict_replication: config.strict_replication,
    }
}

struct LogEvents {
    metrics: Metrics,
    clock: Clock,
    postponed: Mutex<WarningLimit>,
    purgatory: Arc<Purgatory>,
    report_failure: watch::Sender<Option<String>>,
}

impl LogEvents {
    /// Returns a listener, and the reason for which the log failed once it has one.
    fn new(
        metrics: &Metrics,
        clock: Clock,
        purgatory: &Arc<Purgatory>,
    ) -> (Arc<Self>, watch::Receiver<Option<String>>) {
        let (report_failure, failure) = watch::channel(None);
        let events = Self {
            metrics: metrics.clone(),
            clock,
            postponed: Mutex::default(),
            purgatory: Arc::clone(purgatory),
            report_failure,
        };
        (Arc::new(events), failure)
    }
}

impl Listener for LogEvents {
    fn advanced(&self, partitions: &[TopicPartition]) {
        self.purgatory.check_and_complete(partitions);
    }

    fn poisoned(&self, reason: &str) {
        // Not logged here: `Broker::failed` returns it, and its caller logs it and exits.
        self.report_failure.send_replace(Some(reason.to_owned()));
    }

    fn low_space(&self, is_low: bool) {
        self.metrics.low_space.set(i64::from(is_low));
        if is_low {
            error!("disk space is low; produce requests are rejected until space is freed");
        } else {
            info!("disk space is sufficient again; produce requests are accepted");
        }
    }

    fn write_postponed(&self, reason: &str) {
        self.metrics
            .count_background_failures(BackgroundTask::Segments, 1);
        // A panic elsewhere leaves counters that are still valid.
        let mut limit = self
            .postponed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(failures) = limit.count(self.clock.monotonic_ms()) {
            warn!(
                failures,
                reason, "segments or checkpoint not written; the log retries"
            );
        }
    }

    fn corrupt_range_found(&self, partition: TopicPartition, range: CorruptRange) {
        self.metrics.corrupt_ranges.inc();
        let (from, to) = (range.from.0, range.to.0);
        error!(%partition, from, to, "offsets are corrupt; the rest of the partition is served");
    }
}

async fn open_log(
    config: &BrokerConfig,
    must_exist: bool,
    clock: Clock,
    events: Arc<LogEvents>,
) -> Result<Log, StartError> {
    let disk = TimedDisk {
        clock,
        wal_sync_seconds: events.metrics.wal_sync_seconds.clone(),
    };
    let mut log_config = LogConfig::new(config.data_dir.join("log"));
    log_config.durability = config.durability;
    log_config.low_space_bytes = config.low_space_bytes;
    log_config.must_exist = must_exist;
    log_config.open_files_max = config.limits.open_segments_max;
    log_config.producers_max = config.limits.producers_max;
    let corrupt_ranges = events.metrics.corrupt_ranges.clone();
    let opened = tokio::task::spawn_blocking(move || Log::open(log_config, Arc::new(disk), events))
        .await
        .map_err(std::io::Error::other)?;
    let (log, report) = opened?;
    for (from, to) in &report.missing_frames {
        corrupt_ranges.inc();
        warn!(
            from,
            to, "WAL frames are unreadable; affected partitions follow"
        );
    }
    info!(?report, "log recovered");
    Ok(log)
}

/// Aligns the log with the metadata: creates missing partitions, deletes data of deleted topics,
/// and reports data of unknown topics, which is kept.
async fn reconcile(metadata: &Metadata, log: &Log) -> Result<(), StartError> {
    let cluster = metadata.cluster();
    // A topic's row is written first, so a crash can leave it without some of its partitions.
    for topic in cluster.topics() {
        for partition in topic.partitions() {
            if let Err(error) = log.create_partition(partition) {
                error!(%partition, %error, "partition not opened");
            }
        }
        maintenance::configure(log, topic);
    }
    let tombstones: HashSet<TopicId> = metadata.tombstones().await?.into_iter().collect();
    // Never deleted: the metadata may come from an older backup than the log.
    for partition in log.known_partitions() {
        let topic = &partition.topic;
        if cluster.topic_by_id(*topic).is_none() && !tombstones.contains(topic) {
            warn!(
                %partition,
                "partition belongs to no known topic; its data is kept but not served"
            );
        }
    }
    let log = log.clone();
    let deletion =
        tokio::task::spawn_blocking(move || maintenance::delete_leftovers(&log, &tombstones));
    Ok(deletion.await.map_err(std::io::Error::other)?)
}
