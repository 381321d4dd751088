//! CreatePartitions (key 37), versions 0 to 3.
//!
//! Behavior:
//! * Increases the number of partitions of each topic, independently of the others. A topic that
//!   the request contains twice is rejected.
//! * Records stay in their partitions, so keys may map to other partitions afterwards.
//!
//! Version notes:
//! * Version 3 returns THROTTLING_QUOTA_EXCEEDED when the mutation quota is exceeded (KIP-599);
//!   older versions wait.

use std::sync::Arc;

use avouch_protocol::messages::create_partitions::{
    CreatePartitionsRequest, CreatePartitionsResponse, CreatePartitionsTopicResult,
};

use super::{Call, duplicates};
use crate::admin::Admin;
use crate::error::{RequestError, code_and_message};

pub(super) async fn handle(
    admin: Arc<Admin>,
    call: Call,
    request: CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let twice = duplicates(request.topics.iter().map(|topic| topic.name.clone()));
    let rejected = twice.iter().map(|name| {
        let duplicate = Err(RequestError::DuplicateTopicName);
        result(name.clone(), code_and_message::<(), _>(&duplicate))
    });
    let mut results: Vec<_> = rejected.collect();
    let mut throttling = call.throttling(3, request.timeout_ms);
    for topic in request.topics {
        if twice.contains(&topic.name) {
            continue;
        }
        let name = topic.name.clone();
        // Some clients send an empty list instead of null.
        let assignments = topic.assignments.filter(|assigned| !assigned.is_empty());
        let assignments = assignments.map(|assigned| {
            let replicas = assigned.into_iter().map(|replicas| replicas.broker_ids);
            replicas.collect()
        });
        let created = admin.create_partitions(
            topic.name,
            topic.count,
            assignments,
            request.validate_only,
            &mut throttling,
        );
        results.push(result(name, code_and_message(&created.await)));
    }
    CreatePartitionsResponse {
        results,
        ..Default::default()
    }
}

fn result(
    name: String,
    (error_code, error_message): (i16, Option<String>),
) -> CreatePartitionsTopicResult {
    CreatePartitionsTopicResult {
        name,
        error_code,
        error_message,
    }
}
