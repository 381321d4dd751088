//! CreateTopics (key 19), versions 2 to 7.
//!
//! Behavior:
//! * Creates each topic independently of the others. A topic that the request contains twice is
//!   rejected.
//! * A replication factor above 1 is reduced to 1, or rejected if `strict.replication` is set.
//!
//! Version notes:
//! * Version 5 returns the effective configs (KIP-525).
//! * Version 6 returns THROTTLING_QUOTA_EXCEEDED when the mutation quota is exceeded (KIP-599);
//!   older versions wait.
//! * Version 7 returns the topic id.

use std::sync::Arc;

use avouch_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};
use uuid::Uuid;

use super::{Call, duplicates};
use crate::admin::Admin;
use crate::error::{RequestError, code_and_message};
use crate::metadata::{Cluster, Topic, TopicRequest, effective_config};

pub(super) async fn handle(
    admin: Arc<Admin>,
    call: Call,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let twice = duplicates(request.topics.iter().map(|topic| topic.name.clone()));
    let rejections = twice.iter().map(|name| {
        let duplicate = Err(RequestError::DuplicateTopicName);
        rejected(name.clone(), code_and_message::<(), _>(&duplicate))
    });
    let mut topics: Vec<_> = rejections.collect();
    let mut throttling = call.throttling(6, request.timeout_ms);
    let validate_only = request.validate_only;
    for topic in request.topics {
        if twice.contains(&topic.name) {
            continue;
        }
        let name = topic.name.clone();
        let created = admin.create_topic(topic_request(topic), validate_only, &mut throttling);
        topics.push(match created.await {
            Ok(topic) => result(&topic, &admin.metadata.cluster(), validate_only),
            Err(error) => rejected(name, code_and_message::<(), _>(&Err(error))),
        });
    }
    CreateTopicsResponse {
        topics,
        ..Default::default()
    }
}

fn topic_request(topic: CreatableTopic) -> TopicRequest {
    // A null value is an error in CreateTopics, unlike in IncrementalAlterConfigs.
    let (set, unset): (Vec<_>, Vec<_>) = topic
        .configs
        .into_iter()
        .partition(|config| config.value.is_some());
    TopicRequest {
        name: topic.name,
        partition_count: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .into_iter()
            .map(|assigned| (assigned.partition_index, assigned.broker_ids))
            .collect(),
        configs: set
            .into_iter()
            .map(|config| (config.name, config.value.unwrap_or_default()))
            .collect(),
        unset_configs: unset.into_iter().map(|config| config.name).collect(),
    }
}

fn result(topic: &Topic, cluster: &Cluster, validate_only: bool) -> CreatableTopicResult {
    let configs = effective_config::of_topic(topic, cluster)
        .into_iter()
        .map(|config| CreatableTopicConfigs {
            name: config.name.to_owned(),
            value: config.value().map(str::to_owned),
            config_source: config.source().code(),
            ..Default::default()
        });
    CreatableTopicResult {
        name: topic.name().to_owned(),
        // A validated topic was not created, so its id means nothing.
        topic_id: if validate_only {
            Uuid::nil()
        } else {
            topic.id().0
        },
        num_partitions: topic.row.partition_count,
        replication_factor: 1,
        configs: Some(configs.collect()),
        ..Default::default()
    }
}

fn rejected(
    name: String,
    (error_code, error_message): (i16, Option<String>),
) -> CreatableTopicResult {
    CreatableTopicResult {
        name,
        error_code,
        error_message,
        num_partitions: -1,
        replication_factor: -1,
        ..Default::default()
    }
}
