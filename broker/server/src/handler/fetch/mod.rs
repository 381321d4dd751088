//! Fetch (key 1), versions 4 to 16.
//!
//! Behavior:
//! - Waits until `min_bytes` are available, for up to `max_wait_ms` (KIP-74 limits apply).
//! - Returns complete batches, the first of which contains the requested offset. The first
//!   partition with data gets at least one batch, whatever the limits.
//! - A partition that got nothing because the response was full is read first in the next request
//!   of its connection.
//! - Declines fetch sessions (KIP-227): session id 0 makes clients send full requests. A full
//!   request is served whatever session it names, since it would close that session; an incremental
//!   request gets FETCH_SESSION_ID_NOT_FOUND.
//! - A repeated partition gets one response, for its last mention, as Kafka's map of partitions
//!   does.
//!
//! Version notes:
//! - 13: topics by id (KIP-516).

mod delayed_fetch;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::fetch::{
    FetchPartition, FetchRequest, FetchResponse, FetchTopic, FetchableTopicResponse,
};
use avouch_protocol::types::{PartitionIndex, TopicId, TopicPartition};
use uuid::Uuid;

use super::Call;
use crate::node::Node;
use delayed_fetch::DelayedFetch;

const READ_COMMITTED: i8 = 1;
/// The session epochs of full requests.
const NEW_SESSION: i32 = 0;
const NO_SESSION: i32 = -1;

pub(super) async fn handle(node: Arc<Node>, call: Call, request: FetchRequest) -> FetchResponse {
    if !matches!(request.session_epoch, NEW_SESSION | NO_SESSION) {
        return FetchResponse {
            error_code: ErrorCode::FetchSessionIdNotFound.code(),
            ..Default::default()
        };
    }
    let resolved = ResolvedFetch::new(&node, &call, request);
    let mut fetch = DelayedFetch::new(&node, &resolved, call.client.fetch_turn.next());
    node.purgatory
        .try_complete_else_wait(&mut fetch, resolved.max_wait)
        .await;
    call.client.fetch_turn.set(fetch.starved());
    let (bytes, file_bytes) = fetch.bytes();
    node.metrics.fetched_bytes.inc_by(bytes as u64);
    node.metrics.fetched_file_bytes.inc_by(file_bytes as u64);
    response(&resolved, fetch)
}

/// The partition that a connection's next fetch reads first: one that was starved in the last.
#[derive(Debug, Default)]
pub(super) struct FetchTurn(Mutex<Option<TopicPartition>>);

impl FetchTurn {
    fn next(&self) -> Option<TopicPartition> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, starved: Option<TopicPartition>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = starved;
    }
}

/// A request with its partitions resolved.
struct ResolvedFetch {
    topics: Vec<ResolvedTopic>,
    /// Partitions of all topics, in the request's order.
    partitions: Vec<ResolvedPartition>,
    max_wait: Duration,
    bytes_min: usize,
    bytes_max: usize,
    read_committed: bool,
}

struct ResolvedTopic {
    name: String,
    id: Uuid,
    partition_count: usize,
}

struct ResolvedPartition {
    request: FetchPartition,
    target: Result<TopicPartition, ErrorCode>,
}

impl ResolvedFetch {
    fn new(node: &Node, call: &Call, request: FetchRequest) -> Self {
        let cluster = node.metadata.cluster();
        let by_id = call.version() >= 13;
        let mut topics = Vec::with_capacity(request.topics.len());
        let mut partitions = Vec::new();
        for requested in deduplicated(request.topics) {
            let topic = if by_id {
                cluster
                    .topic_by_id(TopicId(requested.topic_id))
                    .ok_or(ErrorCode::UnknownTopicId)
            } else {
                cluster
                    .topic(&requested.topic)
                    .ok_or(ErrorCode::UnknownTopicOrPartition)
            };
            topics.push(ResolvedTopic {
                name: requested.topic,
                id: requested.topic_id,
                partition_count: requested.partitions.len(),
            });
            partitions.extend(requested.partitions.into_iter().map(|request| {
                let index = PartitionIndex(request.partition);
                let target = topic.and_then(|topic| {
                    topic
                        .partition(index)
                        .ok_or(ErrorCode::UnknownTopicOrPartition)
                });
                ResolvedPartition { request, target }
            }));
        }
        // Negative numbers count as 0.
        let (wait_ms, bytes_min, bytes_max) =
            (request.max_wait_ms, request.min_bytes, request.max_bytes);
        let limits = &node.config.limits;
        Self {
            topics,
            partitions,
            max_wait: Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))
                .min(limits.fetch_wait),
            bytes_min: usize::try_from(bytes_min).unwrap_or(0),
            bytes_max: usize::try_from(bytes_max)
                .unwrap_or(0)
                .min(limits.fetch_bytes_max),
            read_committed: request.isolation_level == READ_COMMITTED,
        }
    }
}

/// Returns each partition once: at the place of its first mention, with the values of its last.
fn deduplicated(topics: Vec<FetchTopic>) -> Vec<FetchTopic> {
    let mut unique: Vec<FetchTopic> = Vec::with_capacity(topics.len());
    let mut topic_places = HashMap::new();
    let mut partition_places = HashMap::new();
    for mut topic in topics {
        let partitions = std::mem::take(&mut topic.partitions);
        let name = (topic.topic.clone(), topic.topic_id);
        let at = *topic_places.entry(name).or_insert(unique.len());
        if at == unique.len() {
            unique.push(topic);
        }
        let into = &mut unique[at].partitions;
        for request in partitions {
            match partition_places.entry((at, request.partition)) {
                Entry::Occupied(place) => into[*place.get()] = request,
                Entry::Vacant(place) => {
                    place.insert(into.len());
                    into.push(request);
                }
            }
        }
    }
    unique
}

fn response(resolved: &ResolvedFetch, fetch: DelayedFetch<'_>) -> FetchResponse {
    let mut partitions = fetch.into_partitions();
    let topics = resolved.topics.iter().map(|topic| FetchableTopicResponse {
        topic: topic.name.clone(),
        topic_id: topic.id,
        // Results are flat and in the order of the topics.
        partitions: partitions.by_ref().take(topic.partition_count).collect(),
    });
    FetchResponse {
        responses: topics.collect(),
        ..Default::default()
    }
}
