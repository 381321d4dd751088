//! DeleteTopics (key 20), versions 1 to 6. Version 6 names topics by id, too.
//!
//! A deleted topic is gone for clients when the reply leaves; its data follows.

use std::sync::Arc;

use uuid::Uuid;

use super::Call;
use crate::error::metadata_error;
use crate::metadata::Topic;
use crate::server::Node;
use crate::types::TopicId;
use crate::wire::error_code::ErrorCode;
use crate::wire::messages::delete_topics::{
    DeletableTopicResult, DeleteTopicState, DeleteTopicsRequest, DeleteTopicsResponse,
};

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let states = if call.version() >= 6 {
        request.topics
    } else {
        let by_name = |name| DeleteTopicState {
            name: Some(name),
            topic_id: Uuid::nil(),
        };
        request.topic_names.into_iter().map(by_name).collect()
    };
    let mut responses = Vec::with_capacity(states.len());
    for state in states {
        responses.push(delete(&node, state).await);
    }
    DeleteTopicsResponse {
        responses,
        ..Default::default()
    }
}

async fn delete(node: &Arc<Node>, state: DeleteTopicState) -> DeletableTopicResult {
    let result = |error: ErrorCode, message: Option<String>| DeletableTopicResult {
        name: state.name.clone(),
        topic_id: state.topic_id,
        error_code: error.code(),
        error_message: message,
    };
    let Some(topic) = find(node, &state) else {
        let error = match state.name {
            Some(_) => ErrorCode::UnknownTopicOrPartition,
            None => ErrorCode::UnknownTopicId,
        };
        return result(error, Some("There is no such topic.".to_owned()));
    };
    if topic.is_internal() {
        let message = "The broker's own topic cannot be deleted.".to_owned();
        return result(ErrorCode::InvalidRequest, Some(message));
    }
    match node.delete_topic(topic.id()).await {
        Ok(()) => DeletableTopicResult {
            name: Some(topic.name().to_owned()),
            topic_id: topic.id().0,
            ..Default::default()
        },
        Err(error) => result(metadata_error(&error), Some(error.to_string())),
    }
}

fn find(node: &Node, state: &DeleteTopicState) -> Option<Arc<Topic>> {
    let cluster = node.metadata.cluster();
    match &state.name {
        Some(name) => cluster.topic(name).cloned(),
        None => cluster.topic_by_id(TopicId(state.topic_id)).cloned(),
    }
}
