//! DescribeTopicPartitions (key 75), version 0 (KIP-966).
//!
//! Behavior:
//! * Returns partitions by topic name in pages of the requested size, at most 2,000 partitions. The
//!   cursor of a response is the start of the next page.
//! * A request without topics means all topics.

use std::collections::BTreeSet;
use std::sync::Arc;

use avouch_protocol::api::Resource;
use avouch_protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use avouch_protocol::types::TopicPartition;

use super::Call;
use crate::error::{KafkaError as _, RequestError};
use crate::metadata::{Cluster, Topic};
use crate::node::Node;

/// `max.request.partition.size.limit`: maximum number of partitions in one page.
const PAGE_MAX: usize = 2_000;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let cluster = node.metadata.cluster();
    let operations = call.allowed_operations(&node, Resource::Topic);
    let limit = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let mut left = limit.clamp(1, PAGE_MAX);
    let mut topics = Vec::new();
    let mut next_cursor = None;
    for (name, first) in names_from(&request, &cluster) {
        let Some(topic) = cluster.topic(&name) else {
            topics.push(unknown(name));
            continue;
        };
        let partitions = topic.partitions().skip(first).take(left);
        let page: Vec<_> = partitions.map(|at| described(&node, at)).collect();
        left -= page.len();
        let next = first + page.len();
        if !page.is_empty() {
            topics.push(with_partitions(topic, page, operations));
        }
        if topic.partitions().nth(next).is_some() {
            next_cursor = Some(Cursor {
                topic_name: name,
                partition_index: i32::try_from(next).unwrap_or(i32::MAX),
            });
            break;
        }
    }
    DescribeTopicPartitionsResponse {
        topics,
        next_cursor,
        ..Default::default()
    }
}

/// Returns the requested topics from the cursor on, each with the index of its first partition.
fn names_from(request: &DescribeTopicPartitionsRequest, cluster: &Cluster) -> Vec<(String, usize)> {
    let names: BTreeSet<String> = if request.topics.is_empty() {
        let topics = cluster.topics();
        topics.map(|topic| topic.name().to_owned()).collect()
    } else {
        let topics = request.topics.iter();
        topics.map(|topic| topic.name.clone()).collect()
    };
    let Some(cursor) = &request.cursor else {
        return names.into_iter().map(|name| (name, 0)).collect();
    };
    let first = usize::try_from(cursor.partition_index).unwrap_or(0);
    // The cursor's topic may have been deleted since: then the page starts at the next name.
    let rest = names.into_iter().filter(|name| *name >= cursor.topic_name);
    rest.map(|name| {
        let first = if name == cursor.topic_name { first } else { 0 };
        (name, first)
    })
    .collect()
}

fn with_partitions(
    topic: &Topic,
    partitions: Vec<DescribeTopicPartitionsResponsePartition>,
    topic_authorized_operations: i32,
) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        name: Some(topic.name().to_owned()),
        topic_id: topic.id().0,
        is_internal: topic.is_internal(),
        partitions,
        topic_authorized_operations,
        ..Default::default()
    }
}

fn unknown(name: String) -> DescribeTopicPartitionsResponseTopic {
    DescribeTopicPartitionsResponseTopic {
        error_code: RequestError::UnknownPartition.error_code().code(),
        name: Some(name),
        ..Default::default()
    }
}

fn described(node: &Node, partition: TopicPartition) -> DescribeTopicPartitionsResponsePartition {
    let node_id = node.config.node_id;
    let bounds = node.log.bounds(partition);
    DescribeTopicPartitionsResponsePartition {
        partition_index: partition.partition.0,
        leader_id: node_id,
        leader_epoch: bounds.map_or(0, |bounds| bounds.leader_epoch.0),
        replica_nodes: vec![node_id],
        isr_nodes: vec![node_id],
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..Default::default()
    }
}
