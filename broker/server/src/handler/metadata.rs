//! Metadata (key 3), versions 0 to 12.
//!
//! No topics named means all of them (version 0: an empty list, later: null). A topic that does
//! not exist is created with the broker's default partition count when the request and the broker
//! allow it, and answered at once, or with LEADER_NOT_AVAILABLE while topics come too fast. Every
//! topic has its stable id from version 10.

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
use crate::error::metadata_error;
use crate::metadata::{MetadataError, Topic};
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: MetadataRequest,
) -> MetadataResponse {
    let (cluster_operations, topic_operations) = (
        request.include_cluster_authorized_operations,
        request.include_topic_authorized_operations,
    );
    let may_create = request.allow_auto_topic_creation || call.version() < 4;
    let mut topics: Vec<_> = match request.topics {
        Some(topics) if !(topics.is_empty() && call.version() == 0) => {
            let mut answers = Vec::with_capacity(topics.len());
            for topic in topics {
                answers.push(named(&node, &call, topic, may_create).await);
            }
            answers
        }
        _ => {
            let cluster = node.metadata.cluster();
            cluster
                .topics()
                .map(|topic| described(&node, topic))
                .collect()
        }
    };
    if topic_operations {
        let operations = call.allowed_operations(&node, Resource::Topic);
        for topic in topics.iter_mut().filter(|topic| topic.error_code == 0) {
            topic.topic_authorized_operations = operations;
        }
    }
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
    if cluster_operations {
        let operations = call.allowed_operations(&node, Resource::Cluster);
        response.cluster_authorized_operations = operations;
    }
    response
}

async fn named(
    node: &Arc<Node>,
    call: &Call,
    asked: MetadataRequestTopic,
    may_create: bool,
) -> MetadataResponseTopic {
    let Some(name) = asked.name else {
        let cluster = node.metadata.cluster();
        return match cluster.topic_by_id(TopicId(asked.topic_id)) {
            Some(topic) => described(node, topic),
            None => {
                // Null only exists from version 12 on.
                let name = (call.version() < 12).then(String::new);
                refused(name, asked.topic_id, ErrorCode::UnknownTopicId)
            }
        };
    };
    if let Some(topic) = node.metadata.cluster().topic(&name) {
        return described(node, topic);
    }
    if !(may_create && node.config.auto_create_topics) {
        let valid = crate::metadata::create::check_name(&name).is_ok();
        let error = if valid {
            ErrorCode::UnknownTopicOrPartition
        } else {
            ErrorCode::InvalidTopicException
        };
        return refused(Some(name), Uuid::nil(), error);
    }
    match node.topic_or_new(&name).await {
        Ok(topic) => described(node, &topic),
        // All clients ask again after this one.
        Err(MetadataError::Throttled { .. }) => {
            refused(Some(name), Uuid::nil(), ErrorCode::LeaderNotAvailable)
        }
        Err(error) => refused(Some(name), Uuid::nil(), metadata_error(&error)),
    }
}

fn described(node: &Node, topic: &Topic) -> MetadataResponseTopic {
    let this = node.config.node_id;
    let partitions = topic
        .partitions()
        .map(|partition| MetadataResponsePartition {
            partition_index: partition.partition.0,
            leader_id: this,
            leader_epoch: node
                .log
                .bounds(partition)
                .map_or(0, |bounds| bounds.leader_epoch.0),
            replica_nodes: vec![this],
            isr_nodes: vec![this],
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

fn refused(name: Option<String>, topic_id: Uuid, error: ErrorCode) -> MetadataResponseTopic {
    MetadataResponseTopic {
        error_code: error.code(),
        name,
        topic_id,
        ..Default::default()
    }
}
