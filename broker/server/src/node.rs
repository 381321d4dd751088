//! What every request can reach: metadata, log, groups, contracts, clock, waiters, limits.

use std::net::SocketAddr;
use std::sync::Arc;

use avouch_compute::ComputePool;
use avouch_contract::Contracts;
use avouch_coordinator::InternalTopic;
use avouch_coordinator::group::Coordinator;
use avouch_log::{AppendBatch, AppendOutcome, Log};
use avouch_net::{Clock, MemoryPool, RequestMemory};
use tokio::sync::oneshot;

use crate::config::{BrokerConfig, Limits};
use crate::decompressor_pool::DecompressorPool;
use crate::fetch_purgatory::Waiters;
use crate::metadata::Metadata;
use crate::metrics::Metrics;
use crate::quota::controller_mutation::MutationQuota;
use crate::security::authorizer::Authorizer;

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
    pub(crate) decompressors: DecompressorPool,
    pub(crate) authorizer: Authorizer,
    pub(crate) request_memory: Arc<RequestMemory>,
    pub(crate) mutation_quota: MutationQuota,
    pub(crate) response_memory: ResponseMemory,
    pub(crate) compute: ComputePool,
    pub(crate) offsets_topic: Arc<InternalTopic>,
}

/// Memory of responses until they are sent.
#[derive(Debug)]
pub(crate) struct ResponseMemory {
    /// Batches read from files.
    pub(crate) cold_reads: MemoryPool,
    /// Batches read from memory, which stay there while a response holds them.
    pub(crate) hot_reads: MemoryPool,
    /// Fetches that wait for records.
    pub(crate) delayed: MemoryPool,
}

impl ResponseMemory {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            cold_reads: MemoryPool::new(limits.cold_read_bytes_max),
            hot_reads: MemoryPool::new(limits.hot_read_bytes_max),
            delayed: MemoryPool::new(limits.parked_bytes_max),
        }
    }
}

/// Where clients should connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: i32,
}

impl Node {
    /// Returns the address at which a client should connect: the advertised one, or `local`, to
    /// which it is connected. Every address in a response comes from here.
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
}
