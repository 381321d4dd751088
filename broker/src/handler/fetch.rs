//! Fetch (key 1), versions 4 to 16. Topics are named by id from version 13.
//!
//! Answers once `min_bytes` are there or `max_wait_ms` have passed, woken by appends. Batches are
//! answered whole, the one around the asked offset first; the first partition with data gets at
//! least one batch, however small the limits. Fetch sessions are declined: session id 0 makes every
//! client send full requests.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::{Call, check_leader_epoch};
use crate::error::read_error;
use crate::log::{Bounds, ReadError, ReadResult};
use crate::server::Node;
use crate::types::{Offset, PartitionIndex, TopicId, TopicPartition};
use crate::wire::error_code::ErrorCode;
use crate::wire::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchableTopicResponse, PartitionData,
};

pub(super) async fn handle(node: Arc<Node>, call: Call, request: FetchRequest) -> FetchResponse {
    if request.session_id != 0 {
        return FetchResponse {
            error_code: ErrorCode::FetchSessionIdNotFound.code(),
            ..Default::default()
        };
    }
    let wanted = Wanted::resolve(&node, &call, request);
    let mut answers = wanted.read(&node).await;
    if answers.must_wait(&wanted) {
        let partitions = wanted.partitions().map(|(target, _)| target).collect();
        let waiting = node.waiters.register(partitions);
        let wait = async {
            loop {
                // An append may have come between the first read and the registration.
                answers = wanted.read(&node).await;
                if !answers.must_wait(&wanted) || !waiting.wait().await {
                    return;
                }
            }
        };
        // Either there is enough now, or what there is must do.
        drop(tokio::time::timeout(wanted.max_wait, wait).await);
    }
    node.metrics.fetched_bytes.inc_by(answers.bytes as u64);
    wanted.response(answers)
}

/// A request with its partitions found, or not.
struct Wanted {
    topics: Vec<WantedTopic>,
    max_wait: Duration,
    bytes_min: usize,
    bytes_max: usize,
}

struct WantedTopic {
    name: String,
    id: Uuid,
    partitions: Vec<(FetchPartition, Result<TopicPartition, ErrorCode>)>,
}

/// What the partitions of a request answer at one moment.
struct Answers {
    /// One a partition, in the request's order.
    partitions: Vec<Answer>,
    /// Bytes of batches in all of them.
    bytes: usize,
}

struct Answer {
    error: ErrorCode,
    bounds: Option<Bounds>,
    batches: Vec<Bytes>,
}

impl Wanted {
    fn resolve(node: &Node, call: &Call, request: FetchRequest) -> Self {
        let cluster = node.metadata.cluster();
        let by_id = call.version() >= 13;
        let topics = request.topics.into_iter().map(|asked| {
            let topic = if by_id {
                cluster
                    .topic_by_id(TopicId(asked.topic_id))
                    .ok_or(ErrorCode::UnknownTopicId)
            } else {
                cluster
                    .topic(&asked.topic)
                    .ok_or(ErrorCode::UnknownTopicOrPartition)
            };
            let find = |partition: &FetchPartition| {
                topic?
                    .partition(PartitionIndex(partition.partition))
                    .ok_or(ErrorCode::UnknownTopicOrPartition)
            };
            let found = asked.partitions.into_iter().map(|partition| {
                let target = find(&partition);
                (partition, target)
            });
            WantedTopic {
                name: asked.topic,
                id: asked.topic_id,
                partitions: found.collect(),
            }
        });
        Self {
            topics: topics.collect(),
            max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0)),
            bytes_min: usize::try_from(request.min_bytes).unwrap_or(0),
            bytes_max: usize::try_from(request.max_bytes)
                .unwrap_or(0)
                .min(node.config.limits.fetch_bytes_max),
        }
    }

    fn partitions(&self) -> impl Iterator<Item = (TopicPartition, &FetchPartition)> {
        self.topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .filter_map(|(partition, target)| Some(((*target).ok()?, partition)))
    }

    async fn read(&self, node: &Node) -> Answers {
        let mut answers = Answers {
            partitions: Vec::new(),
            bytes: 0,
        };
        for (partition, target) in self.topics.iter().flat_map(|topic| &topic.partitions) {
            let answer = match target {
                Err(error) => Answer::refused(*error, None),
                Ok(target) => {
                    let room = self.bytes_max.saturating_sub(answers.bytes);
                    read_partition(node, *target, partition, room, answers.bytes == 0).await
                }
            };
            answers.bytes += answer.batches.iter().map(Bytes::len).sum::<usize>();
            answers.partitions.push(answer);
        }
        answers
    }

    fn response(self, answers: Answers) -> FetchResponse {
        let mut answers = answers.partitions.into_iter();
        let topics = self.topics.into_iter().map(|topic| FetchableTopicResponse {
            topic: topic.name,
            topic_id: topic.id,
            partitions: topic
                .partitions
                .iter()
                .zip(answers.by_ref())
                .map(|((asked, _), answer)| answer.into_wire(asked.partition))
                .collect(),
        });
        FetchResponse {
            responses: topics.collect(),
            ..Default::default()
        }
    }
}

impl Answers {
    fn must_wait(&self, wanted: &Wanted) -> bool {
        let failed = self
            .partitions
            .iter()
            .any(|answer| answer.error != ErrorCode::None);
        !failed
            && self.bytes < wanted.bytes_min
            && self.bytes < wanted.bytes_max.max(1)
            && !wanted.max_wait.is_zero()
            && !self.partitions.is_empty()
    }
}

impl Answer {
    fn refused(error: ErrorCode, bounds: Option<Bounds>) -> Self {
        Self {
            error,
            bounds,
            batches: Vec::new(),
        }
    }

    fn into_wire(self, partition_index: i32) -> PartitionData {
        let edge = |edge: fn(&Bounds) -> Offset| self.bounds.as_ref().map_or(-1, |b| edge(b).0);
        PartitionData {
            partition_index,
            error_code: self.error.code(),
            high_watermark: edge(|bounds| bounds.high_watermark),
            last_stable_offset: edge(|bounds| bounds.last_stable),
            log_start_offset: edge(|bounds| bounds.log_start),
            records: self.batches.into_iter().collect(),
            ..Default::default()
        }
    }
}

/// Reads one partition. `first` lets one batch through though it is larger than the room.
async fn read_partition(
    node: &Node,
    target: TopicPartition,
    asked: &FetchPartition,
    room: usize,
    first: bool,
) -> Answer {
    let Some(bounds) = node.log.bounds(target) else {
        return Answer::refused(ErrorCode::UnknownTopicOrPartition, None);
    };
    if let Err(error) = check_leader_epoch(asked.current_leader_epoch, &bounds) {
        return Answer::refused(error, None);
    }
    let from = Offset(asked.fetch_offset);
    let limit = usize::try_from(asked.partition_max_bytes)
        .unwrap_or(0)
        .min(room);
    if limit == 0 && !first {
        return Answer {
            error: ErrorCode::None,
            bounds: Some(bounds),
            batches: Vec::new(),
        };
    }
    match read_log(node, target, from, limit).await {
        Ok(read) => {
            let bytes: usize = read.batches.iter().map(Bytes::len).sum();
            let fits = first || bytes <= limit;
            let batches = if fits { read.batches } else { Vec::new() };
            Answer {
                error: ErrorCode::None,
                bounds: Some(read.bounds),
                batches,
            }
        }
        Err(error) => {
            if matches!(error, ReadError::Corrupt { .. } | ReadError::Io(_)) {
                tracing::error!(partition = %target, offset = from.0, %error, "fetch failed");
            }
            Answer::refused(read_error(&error), Some(bounds))
        }
    }
}

/// Reads from memory here, from files on a thread that may block. What comes from files is counted
/// until it is sent; when there is too much of it, a read gives one batch only.
async fn read_log(
    node: &Node,
    target: TopicPartition,
    from: Offset,
    bytes_max: usize,
) -> Result<ReadResult, ReadError> {
    if node.log.is_resident(target, from) {
        return node.log.read(target, from, bytes_max);
    }
    let permit = node.cold_read(bytes_max);
    let bytes_max = permit.as_ref().map_or(0, |_| bytes_max);
    let log = node.log.clone();
    let mut read = tokio::task::spawn_blocking(move || log.read(target, from, bytes_max))
        .await
        .map_err(|error| ReadError::Io(std::io::Error::other(error)))??;
    if let Some(permit) = permit {
        read.batches = counted(read.batches, permit);
    }
    Ok(read)
}

/// The batches, which hold their share of `permit` until the last of them is dropped.
fn counted(batches: Vec<Bytes>, mut permit: OwnedSemaphorePermit) -> Vec<Bytes> {
    struct Counted {
        batch: Bytes,
        _permit: Arc<OwnedSemaphorePermit>,
    }
    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &self.batch
        }
    }
    let used = Node::memory_units(batches.iter().map(Bytes::len).sum());
    let permit = Arc::new(permit.split(used).unwrap_or(permit));
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
