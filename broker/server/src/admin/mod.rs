//! Administration of topics, configs, groups, log directories and contracts.
//!
//! Kafka handlers and HTTP routes call the same functions. They translate requests and responses
//! and decide nothing.

pub(crate) mod configs;
pub(crate) mod contracts;
pub(crate) mod features;
mod groups;
pub(crate) mod log_dirs;
mod producers;
mod records;
mod topics;

use std::net::SocketAddr;
use std::sync::Arc;

use avouch_coordinator::InternalTopic;
use avouch_coordinator::group::{Coordinator, GroupError};
use avouch_log::{Log, LogError};
use avouch_net::Clock;
use avouch_protocol::types::Offset;
use thiserror::Error;

use crate::config::BrokerConfig;
use crate::metadata::{AlterError, Metadata, MetadataError};
use crate::purgatory::Purgatory;
use crate::quota::controller_mutation::MutationQuota;
use configs::UnsupportedResource;
use contracts::Violations;

/// The administration service, with the components that it changes.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) config: Arc<BrokerConfig>,
    pub(crate) kafka_address: SocketAddr,
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) log: Log,
    pub(crate) groups: Arc<Coordinator>,
    pub(crate) offsets_topic: Arc<InternalTopic>,
    pub(crate) purgatory: Arc<Purgatory>,
    pub(crate) mutation_quota: MutationQuota,
    pub(crate) violations: Violations,
    pub(crate) clock: Clock,
}

/// An administrative operation that failed. Nothing has changed then.
#[derive(Debug, Error)]
pub(crate) enum AdminError {
    /// A rule for topics and configs is broken, or the database failed.
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    /// The changes of configs are malformed.
    #[error(transparent)]
    Alter(#[from] AlterError),
    /// The group coordinator rejected the operation.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// The log rejected the operation.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The topic or the partition does not exist.
    #[error("This server does not host this topic-partition.")]
    UnknownPartition,
    /// The broker creates the topic and determines its partitions and records.
    #[error("Topic {0} is internal and cannot be changed by clients.")]
    InternalTopic(String),
    /// The broker needs the topic.
    #[error("Topic {0} is internal and cannot be deleted.")]
    InternalTopicDeletion(String),
    /// Resources of this type or name have no configs.
    #[error(transparent)]
    Resource(#[from] UnsupportedResource),
    /// The log directory is not one of the broker's.
    #[error("Log directory {0} does not exist on this broker.")]
    UnknownLogDir(String),
    /// Resources of this type have no list.
    #[error("Resources of type {0} cannot be listed.")]
    UnlistableResource(i8),
    /// Records of compacted topics are deleted by compaction only.
    #[error("Records of topic {0} cannot be deleted: its cleanup.policy is not delete.")]
    DeleteRecordsPolicy(String),
    /// The offset is negative or above the high watermark.
    #[error("Offset {offset} is not between 0 and the high watermark {high_watermark}.")]
    OffsetOutOfRange {
        /// The requested log start offset.
        offset: i64,
        /// The highest valid one.
        high_watermark: Offset,
    },
    /// The log was closed before the change was durable.
    #[error("The log is closed.")]
    LogClosed,
}

/// Runs `change` on a task of its own, so that it completes even if the caller is dropped, as when
/// the client disconnects. A change that stops half-way would leave database, snapshot and log
/// inconsistent until the next start.
pub(crate) async fn run_to_completion<Outcome: Send + 'static>(
    change: impl Future<Output = Outcome> + Send + 'static,
) -> Outcome {
    match tokio::spawn(change).await {
        Ok(outcome) => outcome,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
