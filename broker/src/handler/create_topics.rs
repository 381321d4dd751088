//! CreateTopics (key 19), versions 2 to 7.
//!
//! Each topic is decided alone; a name twice in one request fails both times. Replication factors
//! above 1 are clamped unless `strict.replication` is set. Version 5 and up answer the effective
//! configs, 7 the topic id.

use std::collections::HashMap;
use std::sync::Arc;

use super::Call;
use crate::error::metadata_error;
use crate::metadata::{Topic, TopicRequest, cluster, config_map, effective_config};
use crate::server::Node;
use crate::wire::error_code::ErrorCode;
use crate::wire::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut named: HashMap<&str, u32> = HashMap::new();
    for topic in &request.topics {
        *named.entry(&topic.name).or_default() += 1;
    }
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        topics.push(
            if named
                .get(topic.name.as_str())
                .is_some_and(|&times| times > 1)
            {
                refused(
                    topic,
                    ErrorCode::InvalidRequest,
                    "Topic is named twice in the request.",
                )
            } else {
                create(&node, topic, request.validate_only).await
            },
        );
    }
    CreateTopicsResponse {
        topics,
        ..Default::default()
    }
}

async fn create(
    node: &Arc<Node>,
    topic: &CreatableTopic,
    validate_only: bool,
) -> CreatableTopicResult {
    if topic.name == cluster::OFFSETS_TOPIC {
        let message = "The topic is the broker's own, made on first need.";
        return refused(topic, ErrorCode::InvalidTopicException, message);
    }
    let request = TopicRequest {
        name: topic.name.clone(),
        partition_count: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .iter()
            .map(|assigned| (assigned.partition_index, assigned.broker_ids.clone()))
            .collect(),
        configs: config_map(
            topic
                .configs
                .iter()
                .map(|config| (config.name.as_str(), config.value.as_deref())),
        ),
    };
    match node.create_topic(request, validate_only).await {
        Ok(created) => result(&created),
        Err(error) => refused(topic, metadata_error(&error), &error.to_string()),
    }
}

fn result(topic: &Topic) -> CreatableTopicResult {
    CreatableTopicResult {
        name: topic.name().to_owned(),
        topic_id: topic.id().0,
        num_partitions: topic.row.partition_count,
        replication_factor: 1,
        configs: Some(
            effective_config::of_topic(topic)
                .into_iter()
                .map(|config| CreatableTopicConfigs {
                    name: config.name.to_owned(),
                    value: Some(config.value),
                    config_source: config.source.code(),
                    ..Default::default()
                })
                .collect(),
        ),
        ..Default::default()
    }
}

fn refused(topic: &CreatableTopic, error: ErrorCode, message: &str) -> CreatableTopicResult {
    CreatableTopicResult {
        name: topic.name.clone(),
        error_code: error.code(),
        error_message: Some(message.to_owned()),
        num_partitions: -1,
        replication_factor: -1,
        ..Default::default()
    }
}
