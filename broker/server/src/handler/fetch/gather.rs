//! What a fetch has got so far. Each look adds what came since the last one; nothing is read twice,
//! however often a waiting fetch is woken.

use std::sync::Arc;

use avouch_log::{Bounds, ReadError, ReadResult, Stretched};
use avouch_net::MemoryPermit;
use avouch_protocol::batch::BatchHeader;
use avouch_protocol::chunk::Chunk;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::fetch::{FetchPartition, PartitionData};
use avouch_protocol::types::{Offset, TopicPartition};
use bytes::Bytes;

use super::Wanted;
use crate::error::read_error;
use crate::handler::check_leader_epoch;
use crate::node::Node;

/// What a stretch counts as among what is read and not yet sent: it takes no memory, but keeps its
/// file open.
const STRETCH_COUNTED_BYTES: usize = 64 << 10;

/// What the partitions of a request have given so far.
pub(super) struct Gathered<'w> {
    wanted: &'w Wanted,
    /// One a partition, in the request's order.
    answers: Vec<Answer>,
    /// Bytes of batches in all of them.
    bytes: usize,
    /// Index of the partition that is read first.
    first: usize,
    left_out: Option<TopicPartition>,
}

struct Answer {
    error: ErrorCode,
    bounds: Option<Bounds>,
    batches: Vec<Chunk>,
    bytes: usize,
    /// Where to read on.
    next: Offset,
}

impl<'w> Gathered<'w> {
    /// Nothing yet. Reading starts with partition `first` if the request is about it.
    pub(super) fn begin(wanted: &'w Wanted, first: Option<TopicPartition>) -> Self {
        let answers = wanted.partitions.iter().map(|partition| Answer {
            error: partition.target.err().unwrap_or(ErrorCode::None),
            bounds: None,
            batches: Vec::new(),
            bytes: 0,
            next: Offset(partition.asked.fetch_offset),
        });
        let position = first.and_then(|first| {
            let targets = wanted.partitions.iter().map(|partition| partition.target);
            targets.into_iter().position(|target| target == Ok(first))
        });
        Self {
            wanted,
            answers: answers.collect(),
            bytes: 0,
            first: position.unwrap_or(0),
            left_out: None,
        }
    }

    /// Adds what there is by now, up to the limits.
    pub(super) async fn read(&mut self, node: &Node) {
        self.left_out = None;
        let count = self.answers.len();
        for at in (self.first..count).chain(0..self.first.min(count)) {
            let partition = &self.wanted.partitions[at];
            let answer = &mut self.answers[at];
            let Ok(target) = partition.target else {
                continue;
            };
            if answer.error != ErrorCode::None {
                continue;
            }
            let room = self.wanted.bytes_max.saturating_sub(self.bytes);
            let before = answer.bytes;
            let asked = &partition.asked;
            answer
                .extend(node, target, asked, room, self.bytes == 0)
                .await;
            self.bytes += answer.bytes - before;
            if self.left_out.is_none() && answer.is_left_out() {
                self.left_out = Some(target);
            }
        }
    }

    /// Whether there is less than the client wants, and waiting may bring more.
    pub(super) fn must_wait(&self) -> bool {
        let wanted = self.wanted;
        let mut found = wanted
            .partitions
            .iter()
            .zip(&self.answers)
            .filter(|(partition, _)| partition.target.is_ok())
            .peekable();
        // What was never there keeps nobody from waiting for what is, as in Kafka.
        found.peek().is_some()
            && found.all(|(_, answer)| answer.error == ErrorCode::None)
            && self.bytes < wanted.bytes_min
            && self.bytes < wanted.bytes_max.max(1)
            && !wanted.max_wait.is_zero()
    }

    /// Bytes of batches so far, and of those that stay in files.
    pub(super) fn bytes(&self) -> (usize, usize) {
        let batches = self.answers.iter().flat_map(|answer| &answer.batches);
        let in_files = batches.filter(|batch| batch.memory().is_none());
        (self.bytes, in_files.map(Chunk::len).sum())
    }

    /// The first partition that has batches and gave none, because others took the room.
    pub(super) fn left_out(&self) -> Option<TopicPartition> {
        self.left_out
    }

    /// The answers in the request's order.
    pub(super) fn into_wire(self) -> impl Iterator<Item = PartitionData> + use<'w> {
        let read_committed = self.wanted.read_committed;
        let asked = self.wanted.partitions.iter();
        asked
            .zip(self.answers)
            .map(move |(asked, answer)| answer.into_wire(asked.asked.partition, read_committed))
    }
}

impl Answer {
    fn refuse(&mut self, error: ErrorCode) {
        // What was read before the partition went is still what was asked for.
        if self.batches.is_empty() {
            self.error = error;
        }
    }

    fn is_left_out(&self) -> bool {
        let has_more = |bounds: Bounds| self.next < bounds.high_watermark;
        self.error == ErrorCode::None && self.bytes == 0 && self.bounds.is_some_and(has_more)
    }

    /// Reads on. `first` lets one batch through though it is larger than the room.
    async fn extend(
        &mut self,
        node: &Node,
        target: TopicPartition,
        asked: &FetchPartition,
        room: usize,
        first: bool,
    ) {
        let Some(bounds) = node.log.bounds(target) else {
            return self.refuse(ErrorCode::UnknownTopicOrPartition);
        };
        if let Err(error) = check_leader_epoch(asked.current_leader_epoch, &bounds) {
            return self.refuse(error);
        }
        self.bounds = Some(bounds);
        if self.next < bounds.log_start || self.next > bounds.high_watermark {
            return self.refuse(ErrorCode::OffsetOutOfRange);
        }
        let partition_max = usize::try_from(asked.partition_max_bytes).unwrap_or(0);
        let limit = partition_max.saturating_sub(self.bytes).min(room);
        if self.next == bounds.high_watermark || (limit == 0 && !first) {
            return;
        }
        match read_log(node, target, self.next, limit).await {
            Ok(found) => self.add(found, limit, first),
            Err(error) => {
                if matches!(error, ReadError::Corrupt { .. } | ReadError::Io(_)) {
                    tracing::error!(
                        partition = %target, offset = self.next.0, %error, "fetch failed"
                    );
                }
                self.refuse(read_error(&error));
            }
        }
    }

    fn add(&mut self, found: Found, limit: usize, first: bool) {
        self.bounds = Some(found.bounds);
        let bytes: usize = found.batches.iter().map(Chunk::len).sum();
        if let Some(next) = found.next
            && (first || bytes <= limit)
        {
            self.next = next;
            self.bytes += bytes;
            self.batches.extend(found.batches);
        }
    }

    fn into_wire(self, partition_index: i32, read_committed: bool) -> PartitionData {
        let edge = |edge: fn(&Bounds) -> Offset| self.bounds.as_ref().map_or(-1, |b| edge(b).0);
        PartitionData {
            partition_index,
            error_code: self.error.code(),
            high_watermark: edge(|bounds| bounds.high_watermark),
            last_stable_offset: edge(|bounds| bounds.last_stable),
            log_start_offset: edge(|bounds| bounds.log_start),
            // Who reads all of it has no use for a list of what to skip.
            aborted_transactions: read_committed.then(Vec::new),
            records: self.batches.into_iter().collect(),
            ..Default::default()
        }
    }
}

/// Whole batches, and where to read on behind them.
struct Found {
    batches: Vec<Chunk>,
    next: Option<Offset>,
    bounds: Bounds,
}

impl From<ReadResult> for Found {
    fn from(read: ReadResult) -> Self {
        let last = read.batches.last();
        let last = last.and_then(|batch| BatchHeader::parse(batch).ok());
        Self {
            next: last.map(|last| last.next_offset()),
            batches: read.batches.into_iter().map(Chunk::from).collect(),
            bounds: read.bounds,
        }
    }
}

impl From<Stretched> for Found {
    fn from(stretched: Stretched) -> Self {
        Self {
            batches: vec![Chunk::File(stretched.stretch)],
            next: Some(stretched.next),
            bounds: stretched.bounds,
        }
    }
}

/// Reads from memory here, from files on a thread that may block; what need not be read stays
/// where it is. What is read is counted until it is sent; when there is too much of it, a read
/// gives one batch only.
async fn read_log(
    node: &Node,
    target: TopicPartition,
    from: Offset,
    bytes_max: usize,
) -> Result<Found, ReadError> {
    if node.log.is_resident(target, from) {
        let mut read = node.log.read(target, from, bytes_max)?;
        let bytes = read.batches.iter().map(Bytes::len).sum();
        match node.response_memory.hot_reads.try_reserve(bytes) {
            Some(permit) => counted_with_the_last(&mut read.batches, permit),
            None => read.batches.truncate(1),
        }
        return Ok(read.into());
    }
    if let Some(mut stretched) = node.log.stretch(target, from, bytes_max)
        && let Some(permit) = node
            .response_memory
            .cold_reads
            .try_reserve(STRETCH_COUNTED_BYTES)
    {
        stretched.stretch.held = Some(Arc::new(permit));
        return Ok(stretched.into());
    }
    let permit = node.response_memory.cold_reads.try_reserve(bytes_max);
    let bytes_max = permit.as_ref().map_or(0, |_| bytes_max);
    let log = node.log.clone();
    let mut read = tokio::task::spawn_blocking(move || log.read(target, from, bytes_max))
        .await
        .map_err(|error| ReadError::Io(std::io::Error::other(error)))??;
    if let Some(permit) = permit {
        read.batches = counted(read.batches, permit);
    }
    Ok(read.into())
}

/// A batch that is counted for as long as it is held.
struct Counted {
    batch: Bytes,
    _permit: Arc<MemoryPermit>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.batch
    }
}

/// The batches, which hold their share of `permit` until the last of them is dropped.
fn counted(batches: Vec<Bytes>, mut permit: MemoryPermit) -> Vec<Bytes> {
    // The permit covers the requested maximum, of which the read may have used a part only.
    drop(permit.split(batches.iter().map(Bytes::len).sum()));
    let permit = Arc::new(permit);
    batches
        .into_iter()
        .map(|batch| {
            Bytes::from_owner(Counted {
                batch,
                _permit: Arc::clone(&permit),
            })
        })
        .collect()
}

/// Has the last batch, which is sent last, hold the permit for all.
fn counted_with_the_last(batches: &mut [Bytes], permit: MemoryPermit) {
    if let Some(last) = batches.last_mut() {
        *last = Bytes::from_owner(Counted {
            batch: std::mem::take(last),
            _permit: Arc::new(permit),
        });
    }
}
