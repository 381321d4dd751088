//! Metadata (key 3), versions 0 to 12.
//!
//! Behavior:
//! * Without topics (version 0: an empty list, later: null) returns all topics.
//! * A topic that does not exist is created with the broker's defaults if request and broker allow
//!   it. While the mutation quota is exceeded it gets LEADER_NOT_AVAILABLE, which clients retry.
//! * Responses with the same unknown topics are delayed if a client requests them in a loop.
//!
//! Version notes:
//! * Version 10 returns topic ids, version 12 accepts them (KIP-516). A topic id determines the
//!   topic, whatever its name is: Java sends an empty name with it.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use avouch_protocol::api::Resource;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::metadata::{
    MetadataRequest, MetadataRequestTopic, MetadataResponse, MetadataResponseBroker,
    MetadataResponsePartition, MetadataResponseTopic,
};
use avouch_protocol::types::TopicId;
use uuid::Uuid;

use super::Call;
use crate::error::{KafkaError, RequestError};
use crate::metadata::{Cluster, MetadataError, Topic, create};
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: MetadataRequest,
) -> MetadataResponse {
    let may_create = request.allow_auto_topic_creation || call.version() < 4;
    let cluster = node.metadata.cluster();
    let mut topics: Vec<_> = match request.topics {
        Some(topics) if !(topics.is_empty() && call.version() == 0) => {
            let mut named = Vec::with_capacity(topics.len());
            for topic in topics {
                named.push(resolve(&node, &cluster, &call, topic, may_create).await);
            }
            named
        }
        _ => {
            let topics = cluster.topics();
            topics.map(|topic| described(&node, topic)).collect()
        }
    };
    if request.include_topic_authorized_operations {
        let operations = call.allowed_operations(&node, Resource::Topic);
        for topic in topics.iter_mut().filter(|topic| topic.error_code == 0) {
            topic.topic_authorized_operations = operations;
        }
    }
    delay_repetition(&node, &call, &topics).await;
    let address = node.advertised(call.client.session.local);
    let mut response = MetadataResponse {
        brokers: vec![MetadataResponseBroker {
            node_id: node.config.node_id,
            host: address.host,
            port: address.port,
            ..Default::default()
        }],
        cluster_id: Some(node.metadata.cluster_id().to_owned()),
        controller_id: node.config.node_id,
        topics,
        ..Default::default()
    };
    if request.include_cluster_authorized_operations {
        let operations = call.allowed_operations(&node, Resource::Cluster);
        response.cluster_authorized_operations = operations;
    }
    response
}

/// Waits if the connection has received the same unknown topics too often in the last second.
async fn delay_repetition(node: &Node, call: &Call, topics: &[MetadataResponseTopic]) {
    let mut hasher = DefaultHasher::new();
    let mut is_known = true;
    for topic in topics {
        if topic.error_code == ErrorCode::UnknownTopicOrPartition.code()
            || topic.error_code == ErrorCode::UnknownTopicId.code()
        {
            (&topic.name, topic.topic_id).hash(&mut hasher);
            is_known = false;
        }
    }
    if is_known {
        return;
    }
    let now = node.clock.elapsed();
    let delay = call.client.repeated_metadata.delay(hasher.finish(), now);
    if !delay.is_zero() {
        node.metrics.delayed_metadata.inc();
        tokio::time::sleep(delay).await;
    }
}

async fn resolve(
    node: &Node,
    cluster: &Cluster,
    call: &Call,
    topic: MetadataRequestTopic,
    may_create: bool,
) -> MetadataResponseTopic {
    let name = match topic.name {
        Some(name) if topic.topic_id.is_nil() => name,
        _ => {
            return match cluster.topic_by_id(TopicId(topic.topic_id)) {
                Some(topic) => described(node, topic),
                None => {
                    // The field is nullable from version 12.
                    let name = (call.version() < 12).then(String::new);
                    failed(name, topic.topic_id, &RequestError::UnknownTopicId)
                }
            };
        }
    };
    if let Some(topic) = cluster.topic(&name) {
        return described(node, topic);
    }
    if !(may_create && node.config.auto_create_topics) {
        let error = match create::check_name(&name) {
            Ok(()) => RequestError::UnknownPartition,
            Err(_) => RequestError::InvalidTopicName,
        };
        return failed(Some(name), Uuid::nil(), &error);
    }
    match node.admin.find_or_create_topic(&name).await {
        Ok(topic) => described(node, &topic),
        Err(MetadataError::Throttled { .. }) => {
            failed(Some(name), Uuid::nil(), &RequestError::LeaderNotAvailable)
        }
        Err(error) => failed(Some(name), Uuid::nil(), &error),
    }
}

fn described(node: &Node, topic: &Topic) -> MetadataResponseTopic {
    let node_id = node.config.node_id;
    let partitions = topic
        .partitions()
        .map(|partition| MetadataResponsePartition {
            partition_index: partition.partition.0,
            leader_id: node_id,
            leader_epoch: node
                .log
                .bounds(partition)
                .map_or(0, |bounds| bounds.leader_epoch.0),
            replica_nodes: vec![node_id],
            isr_nodes: vec![node_id],
            ..Default::default()
        });
    MetadataResponseTopic {
        name: Some(topic.name().to_owned()),
        topic_id: topic.id().0,
        is_internal: topic.is_internal(),
        partitions: partitions.collect(),
        ..Default::default()
    }
}

fn failed(name: Option<String>, topic_id: Uuid, error: &impl KafkaError) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: error.error_code().code(),
        name,
        topic_id,
        ..Default::default()
    }
}
