//! CreatePartitions (key 37), versions 0 to 3: gives topics more partitions.
//!
//! Each topic is decided alone; one named twice is refused. Records stay where they are: what a key
//! hashes to changes, as with Kafka. Version 3 is told when partitions come too fast; older ones
//! wait.

use std::sync::Arc;

use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopic,
    CreatePartitionsTopicResult,
};

use super::{Call, named_twice};
use crate::error::metadata_error;
use crate::metadata::cluster;
use crate::node::Node;
use crate::quota::controller_mutation::Throttling;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let twice = named_twice(request.topics.iter().map(|topic| topic.name.clone()));
    let mut results = Vec::with_capacity(request.topics.len());
    for name in &twice {
        let message = "Duplicate topic name.".to_owned();
        results.push(result(name, Err((ErrorCode::InvalidRequest, message))));
    }
    let mut throttling = call.throttling(3, request.timeout_ms);
    for topic in request.topics {
        if !twice.contains(&topic.name) {
            let name = topic.name.clone();
            let grown = grow(&node, topic, request.validate_only, &mut throttling).await;
            results.push(result(&name, grown));
        }
    }
    CreatePartitionsResponse {
        results,
        ..Default::default()
    }
}

async fn grow(
    node: &Arc<Node>,
    topic: CreatePartitionsTopic,
    validate_only: bool,
    throttling: &mut Throttling,
) -> Result<(), (ErrorCode, String)> {
    if topic.name == cluster::OFFSETS_TOPIC {
        // Which of its partitions is whose coordinator is fixed by their number.
        let message = "The broker's own topic keeps its partitions.".to_owned();
        return Err((ErrorCode::InvalidTopicException, message));
    }
    let assignments = topic.assignments.filter(|assigned| !assigned.is_empty());
    let assignments = assignments.map(|assigned| {
        let ids = assigned.into_iter().map(|replicas| replicas.broker_ids);
        ids.collect()
    });
    node.grow_topic(
        topic.name,
        topic.count,
        assignments,
        validate_only,
        throttling,
    )
    .await
    .map_err(|error| (metadata_error(&error), error.to_string()))
}

fn result(name: &str, grown: Result<(), (ErrorCode, String)>) -> CreatePartitionsTopicResult {
    let (error, error_message) = match grown {
        Ok(()) => (ErrorCode::None, None),
        Err((error, message)) => (error, Some(message)),
    };
    CreatePartitionsTopicResult {
        name: name.to_owned(),
        error_code: error.code(),
        error_message,
    }
}
