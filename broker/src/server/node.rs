//! What every request can reach: metadata, log, groups, contracts, clock, waiters, limits.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::clock::Clock;
use super::config::BrokerConfig;
use super::connection::MEMORY_UNIT_BYTES;
use super::inflaters::Inflaters;
use super::metrics::Metrics;
use super::offsets_log::TopicOffsetsLog;
use super::waiters::Waiters;
use crate::contract::Contracts;
use crate::group::Coordinator;
use crate::handler::Client;
use crate::log::{AppendBatch, AppendOutcome, Log};
use crate::metadata::{
    CreateError, Metadata, MetadataError, Topic, TopicRequest, cluster, config_map,
};

/// One running broker, shared by its connections.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) config: BrokerConfig,
    pub(crate) kafka_address: SocketAddr,
    pub(crate) metadata: Metadata,
    pub(crate) log: Log,
    pub(crate) groups: Arc<Coordinator>,
    pub(crate) contracts: Contracts,
    pub(crate) waiters: Arc<Waiters>,
    pub(crate) clock: Clock,
    pub(crate) metrics: Metrics,
    pub(crate) inflaters: Inflaters,
    pub(super) memory: Arc<Semaphore>,
    pub(super) offsets_log: Arc<TopicOffsetsLog>,
}

/// Where clients are told to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: i32,
}

impl Node {
    /// Where this client shall connect: the advertised address, or the one it used. Every address
    /// in a response comes from here.
    pub(crate) fn advertised(&self, client: &Client) -> Address {
        match &self.config.advertise {
            Some((host, port)) => Address {
                host: host.clone(),
                port: i32::from(*port),
            },
            None => Address {
                host: client.local.ip().to_string(),
                port: i32::from(client.local.port()),
            },
        }
    }

    /// Counts `bytes` as in flight until the permit is dropped; waits while too much is.
    pub(crate) async fn in_flight(&self, bytes: usize) -> OwnedSemaphorePermit {
        let all = self.config.limits.in_flight_bytes_max / MEMORY_UNIT_BYTES;
        let units = (bytes / MEMORY_UNIT_BYTES + 1).min(all);
        Arc::clone(&self.memory)
            .acquire_many_owned(u32::try_from(units).unwrap_or(u32::MAX))
            .await
            .expect("the semaphore is never closed")
    }

    /// Puts batches into the log as one frame; the receiver hears their outcomes once durable. The
    /// place in the log is taken before this returns.
    pub(crate) fn append(
        &self,
        batches: Vec<AppendBatch>,
    ) -> oneshot::Receiver<Vec<AppendOutcome>> {
        let (done, outcomes) = oneshot::channel();
        self.log.append(
            batches,
            Box::new(move |appended| {
                // A connection that is gone does not hear what became of its batches.
                drop(done.send(appended));
            }),
        );
        outcomes
    }

    /// Creates a topic with its partitions and logs a clamped replication factor once.
    pub(crate) async fn create_topic(
        &self,
        request: &TopicRequest,
        validate_only: bool,
    ) -> Result<Arc<Topic>, MetadataError> {
        let prepare = |topic: &Topic| {
            for partition in topic.partitions() {
                if let Err(error) = self.log.create_partition(partition) {
                    tracing::error!(%partition, %error, "partition not created");
                }
            }
        };
        let (topic, creation) = self
            .metadata
            .create(request, validate_only, self.clock.now(), prepare)
            .await?;
        if !validate_only {
            tracing::info!(
                topic = topic.name(),
                partitions = topic.row.partition_count,
                id = %topic.id(),
                "topic created"
            );
            if creation.replication_clamped {
                tracing::warn!(
                    topic = topic.name(),
                    asked = request.replication_factor,
                    "replication factor clamped to 1: there is one broker"
                );
            }
        }
        Ok(topic)
    }

    /// The topic of committed offsets, created on first need.
    pub(crate) async fn offsets_topic(&self) -> Result<Arc<Topic>, MetadataError> {
        let existing = || {
            self.metadata
                .cluster()
                .topic(cluster::OFFSETS_TOPIC)
                .cloned()
        };
        if let Some(topic) = existing() {
            return Ok(topic);
        }
        let request = TopicRequest {
            name: cluster::OFFSETS_TOPIC.to_owned(),
            partition_count: cluster::OFFSETS_PARTITIONS,
            replication_factor: 1,
            configs: config_map([
                ("cleanup.policy", Some("compact")),
                ("segment.bytes", Some("104857600")),
            ]),
            ..TopicRequest::default()
        };
        let topic = match self.create_topic(&request, false).await {
            Ok(topic) => topic,
            // Another request was faster.
            Err(MetadataError::Create(CreateError::Exists(_))) => {
                existing().ok_or(MetadataError::UnknownTopic)?
            }
            Err(error) => return Err(error),
        };
        self.offsets_log.open(topic.id());
        Ok(topic)
    }

    /// Deletes a topic for clients at once, then its data, then what groups committed for it.
    pub(crate) async fn delete_topic(&self, topic: &Topic) -> Result<(), MetadataError> {
        let topic = self.metadata.delete(topic.id(), self.clock.now()).await?;
        if let Err(error) = self.log.delete_topic(topic.id()) {
            // The tombstone is written: the next start deletes the data.
            tracing::error!(topic = topic.name(), %error, "data not deleted");
        }
        self.waiters.wake(&topic.partitions().collect::<Vec<_>>());
        self.groups.topic_deleted(&topic.name().into());
        tracing::info!(topic = topic.name(), id = %topic.id(), "topic deleted");
        Ok(())
    }
}
