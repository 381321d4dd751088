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
use crate::compute::Compute;
use crate::contract::Contracts;
use crate::group::Coordinator;
use crate::handler::Client;
use crate::log::{AppendBatch, AppendOutcome, Log};
use crate::metadata::Metadata;

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
    pub(crate) compute: Compute,
    pub(super) memory: Arc<Semaphore>,
    pub(super) cold_reads: Arc<Semaphore>,
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
        let units = Self::memory_units(bytes).min(all);
        Arc::clone(&self.memory)
            .acquire_many_owned(u32::try_from(units).unwrap_or(u32::MAX))
            .await
            .expect("the semaphore is never closed")
    }

    /// Counts `bytes` as read from files for a consumer until the permit is dropped, if there is
    /// room for them. Never waits: a slow consumer must not hold up the others.
    pub(crate) fn cold_read(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let units = u32::try_from(Self::memory_units(bytes)).ok()?;
        Arc::clone(&self.cold_reads)
            .try_acquire_many_owned(units)
            .ok()
    }

    /// How many units of counted memory these bytes take.
    pub(crate) fn memory_units(bytes: usize) -> usize {
        bytes / MEMORY_UNIT_BYTES + 1
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
