//! What every request can reach: metadata, log, groups, contracts, clock, waiters, limits.

use std::net::SocketAddr;
use std::sync::Arc;

use avouch_contract::Contracts;
use avouch_coordinator::InternalTopic;
use avouch_coordinator::group::Coordinator;
use avouch_log::{AppendBatch, AppendOutcome, Log};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::compute::Compute;
use crate::config::{BrokerConfig, Limits};
use crate::decompressor_pool::Inflaters;
use crate::fetch_purgatory::Waiters;
use crate::metadata::Metadata;
use crate::metrics::Metrics;
use crate::quota::controller_mutation::Mutations;
use crate::server::clock::Clock;
use crate::server::intake::{Intake, MEMORY_UNIT_BYTES, memory_units};

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
    pub(crate) intake: Intake,
    pub(crate) mutations: Mutations,
    pub(crate) answers: AnswerMemory,
    pub(crate) compute: Compute,
    pub(crate) offsets_topic: Arc<InternalTopic>,
}

/// Memory of answers that are under way.
#[derive(Debug)]
pub(crate) struct AnswerMemory {
    cold_reads: Arc<Semaphore>,
    hot_reads: Arc<Semaphore>,
    parked: Arc<Semaphore>,
}

impl AnswerMemory {
    pub(crate) fn new(limits: &Limits) -> Self {
        let counting = |bytes| Arc::new(Semaphore::new(bytes / MEMORY_UNIT_BYTES));
        Self {
            cold_reads: counting(limits.cold_read_bytes_max),
            hot_reads: counting(limits.hot_read_bytes_max),
            parked: counting(limits.parked_bytes_max),
        }
    }
}

/// Where clients are told to connect.
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

    /// Bytes of requests that are in flight now, as they are counted.
    pub(crate) fn in_flight_bytes(&self) -> usize {
        self.intake.counted_bytes()
    }

    /// Counts `bytes` as read from files for a consumer until the permit is dropped, if there is
    /// room for them. Never waits: a slow consumer must not hold up the others.
    pub(crate) fn cold_read(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        count(&self.answers.cold_reads, bytes)
    }

    /// The same for what is read from memory, which is kept for as long as a reply holds it.
    pub(crate) fn hot_read(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        count(&self.answers.hot_reads, bytes)
    }

    /// The same for what a request holds that waits for records.
    pub(crate) fn parked(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        count(&self.answers.parked, bytes)
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

fn count(free: &Arc<Semaphore>, bytes: usize) -> Option<OwnedSemaphorePermit> {
    let units = u32::try_from(memory_units(bytes)).ok()?;
    Arc::clone(free).try_acquire_many_owned(units).ok()
}
