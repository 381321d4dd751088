//! DescribeTopicPartitions (key 75), version 0: partitions of topics by name, in pages (KIP-966).
//!
//! A page holds as many partitions as the request wants, at most 2,000; the cursor says where the
//! next one begins. No topics named means all of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use avouch_protocol::api::Resource;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::describe_topic_partitions::{
    Cursor, DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
    DescribeTopicPartitionsResponsePartition, DescribeTopicPartitionsResponseTopic,
};
use avouch_protocol::types::TopicPartition;

use super::Call;
use crate::metadata::{Cluster, Topic};
use crate::node::Node;

/// `max.request.partition.size.limit`: partitions of one page.
const PAGE_MAX: usize = 2_000;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: DescribeTopicPartitionsRequest,
) -> DescribeTopicPartitionsResponse {
    let cluster = node.metadata.cluster();
    let operations = call.allowed_operations(&node, Resource::Topic);
    let names = names_from(&request, &cluster);
    let wanted = usize::try_from(request.response_partition_limit).unwrap_or(0);
    let mut room = wanted.clamp(1, PAGE_MAX);
    let mut topics = Vec::new();
    let mut next_cursor = None;
    for (name, first) in names {
        let Some(topic) = cluster.topic(&name) else {
            topics.push(unknown(name));
            continue;
        };
        let partitions = topic.partitions().skip(first).take(room);
        let page: Vec<_> = partitions.map(|at| described(&node, at)).collect();
        room -= page.len();
        let next = first + page.len();
        if !page.is_empty() {
            topics.push(with_partitions(topic, page, operations));
        }
        let is_more = topic.partitions().nth(next).is_some();
        if is_more {
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

/// The topics asked for, from the cursor on, each with the first partition to tell about.
fn names_from(request: &DescribeTopicPartitionsRequest, cluster: &Cluster) -> Vec<(String, usize)> {
    let names: BTreeSet<String> = if request.topics.is_empty() {
        cluster
            .topics()
            .map(|topic| topic.name().to_owned())
            .collect()
    } else {
        let asked = request.topics.iter();
        asked.map(|topic| topic.name.clone()).collect()
    };
    let Some(cursor) = &request.cursor else {
        return names.into_iter().map(|name| (name, 0)).collect();
    };
    let first = usize::try_from(cursor.partition_index).unwrap_or(0);
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
        error_code: ErrorCode::UnknownTopicOrPartition.code(),
        name: Some(name),
        ..Default::default()
    }
}

fn described(node: &Node, partition: TopicPartition) -> DescribeTopicPartitionsResponsePartition {
    let this = node.config.node_id;
    let bounds = node.log.bounds(partition);
    DescribeTopicPartitionsResponsePartition {
        partition_index: partition.partition.0,
        leader_id: this,
        leader_epoch: bounds.map_or(0, |bounds| bounds.leader_epoch.0),
        replica_nodes: vec![this],
        isr_nodes: vec![this],
        eligible_leader_replicas: Some(Vec::new()),
        last_known_elr: Some(Vec::new()),
        ..Default::default()
    }
}
