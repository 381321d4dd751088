//! Fetch (key 1), versions 4 to 16. Topics are named by id from version 13.
//!
//! Answers once `min_bytes` are there or `max_wait_ms` have passed, woken by appends. Batches are
//! answered whole, the one around the asked offset first; the first partition with data gets at
//! least one batch, however small the limits. A partition that got nothing for want of room comes
//! first in its connection's next request, so that none starves. Fetch sessions are declined:
//! session id 0 makes every client send full requests. A full request is served whatever session it
//! names, as that one would be closed by it; one that goes on with a session finds none. A
//! partition named more than once is answered once, as the last mention asks, which is what
//! Kafka's map of partitions comes to.

mod gather;

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
use gather::Gathered;

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
    let wanted = Wanted::resolve(&node, &call, request);
    let mut gathered = Gathered::begin(&wanted, call.client.fetch_turn.next());
    gathered.read(&node).await;
    // Who finds no room to wait is answered at once.
    let delayed = &node.response_memory.delayed;
    let permit = gathered
        .must_wait()
        .then(|| delayed.try_reserve(wanted.bytes()));
    if let Some(Some(_permit)) = permit {
        let waiting = node.waiters.register(wanted.targets().collect());
        let wait = async {
            loop {
                // An append may have come between the first read and the registration.
                gathered.read(&node).await;
                if !gathered.must_wait() || !waiting.wait().await {
                    return;
                }
            }
        };
        // Either there is enough now, or what there is must do.
        drop(tokio::time::timeout(wanted.max_wait, wait).await);
    }
    call.client.fetch_turn.set(gathered.left_out());
    let (bytes, file_bytes) = gathered.bytes();
    node.metrics.fetched_bytes.inc_by(bytes as u64);
    node.metrics.fetched_file_bytes.inc_by(file_bytes as u64);
    response(&wanted, gathered)
}

/// Which partition a connection's next fetch begins with: one that was left out of the last.
#[derive(Debug, Default)]
pub(super) struct FetchTurn(Mutex<Option<TopicPartition>>);

impl FetchTurn {
    fn next(&self) -> Option<TopicPartition> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, left_out: Option<TopicPartition>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = left_out;
    }
}

/// A request with its partitions found, or not.
struct Wanted {
    topics: Vec<WantedTopic>,
    /// Those of all topics, in the request's order.
    partitions: Vec<WantedPartition>,
    max_wait: Duration,
    bytes_min: usize,
    bytes_max: usize,
    read_committed: bool,
}

struct WantedTopic {
    name: String,
    id: Uuid,
    partition_count: usize,
}

struct WantedPartition {
    asked: FetchPartition,
    target: Result<TopicPartition, ErrorCode>,
}

impl Wanted {
    fn resolve(node: &Node, call: &Call, request: FetchRequest) -> Self {
        let cluster = node.metadata.cluster();
        let by_id = call.version() >= 13;
        let mut topics: Vec<WantedTopic> = Vec::with_capacity(request.topics.len());
        let mut partitions = Vec::new();
        for asked in named_once(request.topics) {
            let topic = if by_id {
                cluster
                    .topic_by_id(TopicId(asked.topic_id))
                    .ok_or(ErrorCode::UnknownTopicId)
            } else {
                cluster
                    .topic(&asked.topic)
                    .ok_or(ErrorCode::UnknownTopicOrPartition)
            };
            topics.push(WantedTopic {
                name: asked.topic,
                id: asked.topic_id,
                partition_count: asked.partitions.len(),
            });
            partitions.extend(asked.partitions.into_iter().map(|asked| {
                let index = PartitionIndex(asked.partition);
                let target = topic.and_then(|topic| {
                    topic
                        .partition(index)
                        .ok_or(ErrorCode::UnknownTopicOrPartition)
                });
                WantedPartition { asked, target }
            }));
        }
        Self {
            topics,
            partitions,
            max_wait: Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0))
                .min(node.config.limits.fetch_wait),
            bytes_min: usize::try_from(request.min_bytes).unwrap_or(0),
            bytes_max: usize::try_from(request.max_bytes)
                .unwrap_or(0)
                .min(node.config.limits.fetch_bytes_max),
            read_committed: request.isolation_level == READ_COMMITTED,
        }
    }

    /// What it takes in memory with its answers, about, and with what waits for its partitions.
    fn bytes(&self) -> usize {
        const PARTITION_BYTES: usize = 512;
        (self.topics.len() + self.partitions.len()) * PARTITION_BYTES
    }

    /// The partitions that exist.
    fn targets(&self) -> impl Iterator<Item = TopicPartition> {
        self.partitions
            .iter()
            .filter_map(|partition| partition.target.ok())
    }
}

/// Every partition once, where it is named first, asked for as where it is named last.
fn named_once(topics: Vec<FetchTopic>) -> Vec<FetchTopic> {
    let mut once: Vec<FetchTopic> = Vec::with_capacity(topics.len());
    let mut topic_places = HashMap::new();
    let mut places = HashMap::new();
    for mut topic in topics {
        let partitions = std::mem::take(&mut topic.partitions);
        let name = (topic.topic.clone(), topic.topic_id);
        let at = *topic_places.entry(name).or_insert(once.len());
        if at == once.len() {
            once.push(topic);
        }
        let into = &mut once[at].partitions;
        for asked in partitions {
            match places.entry((at, asked.partition)) {
                Entry::Occupied(place) => into[*place.get()] = asked,
                Entry::Vacant(place) => {
                    place.insert(into.len());
                    into.push(asked);
                }
            }
        }
    }
    once
}

fn response(wanted: &Wanted, gathered: Gathered<'_>) -> FetchResponse {
    let mut answers = gathered.into_wire();
    let topics = wanted.topics.iter().map(|topic| FetchableTopicResponse {
        topic: topic.name.clone(),
        topic_id: topic.id,
        partitions: answers.by_ref().take(topic.partition_count).collect(),
    });
    FetchResponse {
        responses: topics.collect(),
        ..Default::default()
    }
}
