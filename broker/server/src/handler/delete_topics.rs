//! DeleteTopics (key 20), versions 1 to 6.
//!
//! Behavior:
//! * A deleted topic does not exist for clients once the response is sent; its data is deleted
//!   afterwards.
//! * A topic that the request contains twice, also once by name and once by id, is rejected.
//!
//! Version notes:
//! * Version 5 returns THROTTLING_QUOTA_EXCEEDED when the mutation quota is exceeded (KIP-599);
//!   older versions wait.
//! * Version 6 accepts topic ids (KIP-516).

use std::collections::BTreeMap;
use std::sync::Arc;

use avouch_protocol::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use avouch_protocol::types::TopicId;
use uuid::Uuid;

use super::{Call, duplicates};
use crate::admin::Admin;
use crate::error::{KafkaError, RequestError};
use crate::metadata::{Cluster, Topic};

/// Name and id of a topic in the request.
type Named = (Option<String>, Uuid);

/// Topics that exist, each with the number of its occurrences in the request.
type Found = BTreeMap<TopicId, (Arc<Topic>, usize)>;

pub(super) async fn handle(
    admin: Arc<Admin>,
    call: Call,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let named: Vec<Named> = if call.version() >= 6 {
        let named = |state: DeleteTopicState| (state.name, state.topic_id);
        request.topics.into_iter().map(named).collect()
    } else {
        let named = |name| (Some(name), Uuid::nil());
        request.topic_names.into_iter().map(named).collect()
    };
    let mut throttling = call.throttling(5, request.timeout_ms);
    // All names are resolved before the first deletion, as in Kafka.
    let (found, mut responses) = resolve(&admin.metadata.cluster(), named);
    for (topic, occurrences) in found.into_values() {
        let named = (Some(topic.name().to_owned()), topic.id().0);
        responses.push(if occurrences > 1 {
            rejected(named, &RequestError::DuplicateTopic)
        } else {
            match admin.delete_topic(&topic, &mut throttling).await {
                Ok(()) => DeletableTopicResult {
                    name: named.0,
                    topic_id: named.1,
                    ..Default::default()
                },
                Err(error) => rejected(named, &error),
            }
        });
    }
    DeleteTopicsResponse {
        responses,
        ..Default::default()
    }
}

/// Returns the topics that exist, and the responses for the others.
fn resolve(cluster: &Cluster, named: Vec<Named>) -> (Found, Vec<DeletableTopicResult>) {
    let twice = duplicates(named.iter().cloned());
    let duplicate = |named: &Named| match named.0 {
        Some(_) => rejected(named.clone(), &RequestError::DuplicateTopicName),
        None => rejected(named.clone(), &RequestError::DuplicateTopicId),
    };
    let mut responses: Vec<_> = twice.iter().map(duplicate).collect();
    let mut found = Found::new();
    for named in named.into_iter().filter(|named| !twice.contains(named)) {
        match find(cluster, &named) {
            // By id, so that a topic given by name and by id counts twice.
            Ok(topic) => found.entry(topic.id()).or_insert((topic, 0)).1 += 1,
            Err(error) => responses.push(rejected(named, &error)),
        }
    }
    (found, responses)
}

fn find(cluster: &Cluster, (name, id): &Named) -> Result<Arc<Topic>, RequestError> {
    match (name, id.is_nil()) {
        (Some(name), true) => {
            let topic = cluster.topic(name).cloned();
            topic.ok_or(RequestError::UnknownPartition)
        }
        (None, false) => {
            let topic = cluster.topic_by_id(TopicId(*id)).cloned();
            topic.ok_or(RequestError::UnknownTopicId)
        }
        (Some(_), false) => Err(RequestError::TopicNameAndId),
        (None, true) => Err(RequestError::NoTopicNameOrId),
    }
}

fn rejected((name, topic_id): Named, error: &(impl KafkaError + ToString)) -> DeletableTopicResult {
    DeletableTopicResult {
        name,
        topic_id,
        error_code: error.error_code().code(),
        error_message: Some(error.to_string()),
    }
}
