//! A fetch in progress. Each attempt adds what was appended since the last one, so that no batch is
//! read twice, however often a delayed fetch is woken.

use avouch_log::{Bounds, Log, ReadError};
use avouch_protocol::chunk::Chunk;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::fetch::{FetchPartition, PartitionData};
use avouch_protocol::types::{Offset, TopicPartition};

use super::ResolvedFetch;
use crate::error::KafkaError as _;
use crate::handler::check_leader_epoch;
use crate::node::Node;
use crate::purgatory::DelayedOperation;
use crate::read::{Batches, LogReader};

/// A fetch with the batches read so far.
pub(super) struct DelayedFetch<'a> {
    log: &'a Log,
    reader: &'a LogReader,
    request: &'a ResolvedFetch,
    /// In the request's order.
    results: Vec<PartitionResult>,
    /// Bytes of batches in all of them.
    bytes: usize,
    /// Index of the partition that is read first.
    first: usize,
    starved: Option<TopicPartition>,
}

struct PartitionResult {
    error: ErrorCode,
    bounds: Option<Bounds>,
    batches: Vec<Chunk>,
    bytes: usize,
    /// The offset to read from next.
    next: Offset,
}

impl DelayedOperation for DelayedFetch<'_> {
    fn partitions(&self) -> Vec<TopicPartition> {
        let partitions = self.request.partitions.iter();
        partitions
            .filter_map(|partition| partition.target.ok())
            .collect()
    }

    fn memory_bytes(&self) -> usize {
        // Request, result and watcher of a partition.
        const PARTITION_BYTES: usize = 512;
        (self.request.topics.len() + self.request.partitions.len()) * PARTITION_BYTES
    }

    async fn try_complete(&mut self) -> bool {
        self.read().await;
        !self.must_wait()
    }
}

impl<'a> DelayedFetch<'a> {
    /// Creates a fetch without batches. It reads `first` before its other partitions.
    pub(super) fn new(
        node: &'a Node,
        request: &'a ResolvedFetch,
        first: Option<TopicPartition>,
    ) -> Self {
        let results = request.partitions.iter().map(|partition| PartitionResult {
            error: partition.target.err().unwrap_or(ErrorCode::None),
            bounds: None,
            batches: Vec::new(),
            bytes: 0,
            next: Offset(partition.request.fetch_offset),
        });
        let position = first.and_then(|first| {
            let mut partitions = request.partitions.iter();
            partitions.position(|partition| partition.target == Ok(first))
        });
        Self {
            log: &node.log,
            reader: &node.reader,
            request,
            results: results.collect(),
            bytes: 0,
            first: position.unwrap_or(0),
            starved: None,
        }
    }

    /// Adds the batches that are available, up to the limits.
    async fn read(&mut self) {
        self.starved = None;
        let count = self.results.len();
        for at in (self.first..count).chain(0..self.first.min(count)) {
            let partition = &self.request.partitions[at];
            let result = &mut self.results[at];
            let Ok(target) = partition.target else {
                continue;
            };
            if result.error != ErrorCode::None {
                continue;
            }
            let available = self.request.bytes_max.saturating_sub(self.bytes);
            // KIP-74: the first batch of a response may exceed the limits, else a consumer whose
            // limits are below a batch's size would never get past it.
            let limit = if self.bytes == 0 {
                Limit::OneBatchOr(available)
            } else {
                Limit::Bytes(available)
            };
            let before = result.bytes;
            let (log, reader) = (self.log, self.reader);
            result
                .extend(log, reader, target, &partition.request, limit)
                .await;
            self.bytes += result.bytes - before;
            if self.starved.is_none() && result.is_starved() {
                self.starved = Some(target);
            }
        }
    }

    /// Returns true if there is less than the client requests and waiting may add more.
    fn must_wait(&self) -> bool {
        let request = self.request;
        let mut known = request
            .partitions
            .iter()
            .zip(&self.results)
            .filter(|(partition, _)| partition.target.is_ok())
            .peekable();
        // As in Kafka, an unknown partition does not end the wait of a known one.
        known.peek().is_some()
            && known.all(|(_, result)| result.error == ErrorCode::None)
            && self.bytes < request.bytes_min
            && self.bytes < request.bytes_max.max(1)
            && !request.max_wait.is_zero()
    }

    /// Returns the bytes of all batches, and of those that are sent from files.
    pub(super) fn bytes(&self) -> (usize, usize) {
        let batches = self.results.iter().flat_map(|result| &result.batches);
        let in_files = batches.filter(|batch| batch.memory().is_none());
        (self.bytes, in_files.map(Chunk::len).sum())
    }

    /// Returns the first partition whose batches did not fit into the response.
    pub(super) fn starved(&self) -> Option<TopicPartition> {
        self.starved
    }

    /// Returns the partitions of the response, in the request's order.
    pub(super) fn into_partitions(self) -> impl Iterator<Item = PartitionData> + use<'a> {
        let read_committed = self.request.read_committed;
        let partitions = self.request.partitions.iter();
        partitions
            .zip(self.results)
            .map(move |(partition, result)| {
                result.into_response(partition.request.partition, read_committed)
            })
    }
}

/// Maximum size of what a partition adds to a response.
#[derive(Clone, Copy)]
enum Limit {
    Bytes(usize),
    /// The same, but one batch may exceed it.
    OneBatchOr(usize),
}

impl PartitionResult {
    fn fail(&mut self, error: ErrorCode) {
        // Batches that were read before the partition failed are still valid.
        if self.batches.is_empty() {
            self.error = error;
        }
    }

    fn is_starved(&self) -> bool {
        let has_more = |bounds: Bounds| self.next < bounds.high_watermark;
        self.error == ErrorCode::None && self.bytes == 0 && self.bounds.is_some_and(has_more)
    }

    async fn extend(
        &mut self,
        log: &Log,
        reader: &LogReader,
        target: TopicPartition,
        request: &FetchPartition,
        limit: Limit,
    ) {
        let Some(bounds) = log.bounds(target) else {
            return self.fail(ErrorCode::UnknownTopicOrPartition);
        };
        if let Err(error) = check_leader_epoch(request.current_leader_epoch, &bounds) {
            return self.fail(error.into());
        }
        self.bounds = Some(bounds);
        if self.next < bounds.log_start || self.next > bounds.high_watermark {
            return self.fail(ErrorCode::OffsetOutOfRange);
        }
        let (available, may_exceed) = match limit {
            Limit::Bytes(available) => (available, false),
            Limit::OneBatchOr(available) => (available, true),
        };
        let partition_max = usize::try_from(request.partition_max_bytes).unwrap_or(0);
        let bytes_max = partition_max.saturating_sub(self.bytes).min(available);
        if self.next == bounds.high_watermark || (bytes_max == 0 && !may_exceed) {
            return;
        }
        match reader.read(target, self.next, bytes_max).await {
            Ok(read) => self.add(read, bytes_max, may_exceed),
            Err(error) => {
                if matches!(error, ReadError::Corrupt { .. } | ReadError::Io(_)) {
                    tracing::error!(
                        partition = %target, offset = self.next.0, %error, "fetch failed"
                    );
                }
                self.fail(error.error_code());
            }
        }
    }

    fn add(&mut self, read: Batches, bytes_max: usize, may_exceed: bool) {
        self.bounds = Some(read.bounds);
        let bytes: usize = read.chunks.iter().map(Chunk::len).sum();
        // A read returns at least one batch, which may be larger than the limit.
        if let Some(next) = read.next
            && (may_exceed || bytes <= bytes_max)
        {
            self.next = next;
            self.bytes += bytes;
            self.batches.extend(read.chunks);
        }
    }

    fn into_response(self, partition_index: i32, read_committed: bool) -> PartitionData {
        let offset = |of: fn(&Bounds) -> Offset| self.bounds.as_ref().map_or(-1, |b| of(b).0);
        PartitionData {
            partition_index,
            error_code: self.error.code(),
            high_watermark: offset(|bounds| bounds.high_watermark),
            last_stable_offset: offset(|bounds| bounds.last_stable),
            log_start_offset: offset(|bounds| bounds.log_start),
            // Null at read_uncommitted, as in Kafka.
            aborted_transactions: read_committed.then(Vec::new),
            records: self.batches.into_iter().collect(),
            ..Default::default()
        }
    }
}
