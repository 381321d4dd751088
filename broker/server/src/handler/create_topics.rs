//! CreateTopics (key 19), versions 2 to 7.
//!
//! Each topic is decided alone; one named twice is refused. Replication factors
//! above 1 are clamped unless `strict.replication` is set. Version 5 and up answer the effective
//! configs, 7 the topic id. Version 6 and up are told when topics come and go too fast; older ones
//! wait.

use std::sync::Arc;

use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::create_topics::{
    CreatableTopic, CreatableTopicConfigs, CreatableTopicResult, CreateTopicsRequest,
    CreateTopicsResponse,
};
use uuid::Uuid;

use super::{Call, named_twice};
use crate::error::metadata_error;
use crate::metadata::{Topic, TopicRequest, cluster, effective_config};
use crate::node::Node;
use crate::quota::controller_mutation::Throttling;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: CreateTopicsRequest,
) -> CreateTopicsResponse {
    let twice = named_twice(request.topics.iter().map(|topic| topic.name.clone()));
    let mut topics = Vec::with_capacity(request.topics.len());
    for name in &twice {
        topics.push(refused(
            name,
            ErrorCode::InvalidRequest,
            "Duplicate topic name.",
        ));
    }
    let mut throttling = call.throttling(6, request.timeout_ms);
    for topic in &request.topics {
        if !twice.contains(&topic.name) {
            topics.push(create(&node, topic, request.validate_only, &mut throttling).await);
        }
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
    throttling: &mut Throttling,
) -> CreatableTopicResult {
    if topic.name == cluster::OFFSETS_TOPIC {
        let message = "The topic is the broker's own, made on first need.";
        return refused(&topic.name, ErrorCode::InvalidTopicException, message);
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
        configs: topic
            .configs
            .iter()
            .filter_map(|config| Some((config.name.clone(), config.value.clone()?)))
            .collect(),
        unset_configs: topic
            .configs
            .iter()
            .filter(|config| config.value.is_none())
            .map(|config| config.name.clone())
            .collect(),
    };
    match node.create_topic(request, validate_only, throttling).await {
        Ok(created) => result(node, &created, validate_only),
        Err(error) => refused(&topic.name, metadata_error(&error), &error.to_string()),
    }
}

fn result(node: &Node, topic: &Topic, validate_only: bool) -> CreatableTopicResult {
    CreatableTopicResult {
        name: topic.name().to_owned(),
        // A topic that was only thought of has no identity yet.
        topic_id: if validate_only {
            Uuid::nil()
        } else {
            topic.id().0
        },
        num_partitions: topic.row.partition_count,
        replication_factor: 1,
        configs: Some(
            effective_config::of_topic(topic, &node.metadata.cluster())
                .into_iter()
                .map(|config| CreatableTopicConfigs {
                    name: config.name.to_owned(),
                    value: config.value().map(str::to_owned),
                    config_source: config.source().code(),
                    ..Default::default()
                })
                .collect(),
        ),
        ..Default::default()
    }
}

fn refused(name: &str, error: ErrorCode, message: &str) -> CreatableTopicResult {
    CreatableTopicResult {
        name: name.to_owned(),
        error_code: error.code(),
        error_message: Some(message.to_owned()),
        num_partitions: -1,
        replication_factor: -1,
        ..Default::default()
    }
}
