//! DeleteTopics (key 20), versions 1 to 6. Version 6 names topics by id, too.
//!
//! A deleted topic is gone for clients when the reply leaves; its data follows. What is named twice
//! is refused, even once by name and once by id. Version 5 and up are told when topics come and go
//! too fast; older ones wait.

use std::collections::BTreeMap;
use std::sync::Arc;

use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};
use avouch_protocol::types::TopicId;
use uuid::Uuid;

use super::{Call, named_twice};
use crate::error::metadata_error;
use crate::metadata::Topic;
use crate::node::Node;
use crate::quota::controller_mutation::Throttling;

/// A topic as the request names it.
type Named = (Option<String>, Uuid);

/// Topics that exist, each with how often the request names it.
type Found = BTreeMap<TopicId, (Arc<Topic>, usize)>;

pub(super) async fn handle(
    node: Arc<Node>,
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
    let (found, mut responses) = resolve(&node, named);
    for (topic, mentions) in found.into_values() {
        responses.push(if mentions == 1 {
            delete(&node, &topic, &mut throttling).await
        } else {
            let message = "The provided topic name maps to an ID that was already supplied.";
            refused(this(&topic), ErrorCode::InvalidRequest, message)
        });
    }
    DeleteTopicsResponse {
        responses,
        ..Default::default()
    }
}

/// The topics there are, with how often each was named, and the answers for the rest.
fn resolve(node: &Node, named: Vec<Named>) -> (Found, Vec<DeletableTopicResult>) {
    let twice = named_twice(named.iter().cloned());
    let again = |named: &Named| {
        let message = match named.0 {
            Some(_) => "Duplicate topic name.",
            None => "Duplicate topic id.",
        };
        refused(named.clone(), ErrorCode::InvalidRequest, message)
    };
    let mut responses: Vec<DeletableTopicResult> = twice.iter().map(again).collect();
    let mut found = Found::new();
    for named in named.into_iter().filter(|named| !twice.contains(named)) {
        match find(node, &named) {
            Ok(topic) => found.entry(topic.id()).or_insert((topic, 0)).1 += 1,
            Err((error, message)) => responses.push(refused(named, error, message)),
        }
    }
    (found, responses)
}

fn find(node: &Node, (name, id): &Named) -> Result<Arc<Topic>, (ErrorCode, &'static str)> {
    let cluster = node.metadata.cluster();
    let unknown = "There is no such topic.";
    match (name, id.is_nil()) {
        (Some(name), true) => cluster
            .topic(name)
            .cloned()
            .ok_or((ErrorCode::UnknownTopicOrPartition, unknown)),
        (None, false) => cluster
            .topic_by_id(TopicId(*id))
            .cloned()
            .ok_or((ErrorCode::UnknownTopicId, unknown)),
        (Some(_), false) => Err((
            ErrorCode::InvalidRequest,
            "You may not specify both topic name and topic id.",
        )),
        (None, true) => Err((
            ErrorCode::InvalidRequest,
            "Neither topic name nor id were specified.",
        )),
    }
}

async fn delete(
    node: &Arc<Node>,
    topic: &Topic,
    throttling: &mut Throttling,
) -> DeletableTopicResult {
    if topic.is_internal() {
        let message = "The broker's own topic cannot be deleted.";
        return refused(this(topic), ErrorCode::InvalidRequest, message);
    }
    match node.delete_topic(topic, throttling).await {
        Ok(()) => DeletableTopicResult {
            name: Some(topic.name().to_owned()),
            topic_id: topic.id().0,
            ..Default::default()
        },
        Err(error) => refused(this(topic), metadata_error(&error), &error.to_string()),
    }
}

fn this(topic: &Topic) -> Named {
    (Some(topic.name().to_owned()), topic.id().0)
}

fn refused((name, topic_id): Named, error: ErrorCode, message: &str) -> DeletableTopicResult {
    DeletableTopicResult {
        name,
        topic_id,
        error_code: error.code(),
        error_message: Some(message.to_owned()),
    }
}
