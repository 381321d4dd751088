//! DescribeLogDirs (key 35), versions 1 to 4: how many bytes each partition's batches take, and how
//! large the disk is (KIP-827). There is one log directory and no replica that lags.

use std::sync::Arc;

use avouch_protocol::messages::describe_log_dirs::{
    DescribableLogDirTopic, DescribeLogDirsPartition, DescribeLogDirsRequest,
    DescribeLogDirsResponse, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use avouch_protocol::types::{PartitionIndex, TopicPartition};

use super::Call;
use crate::background::disk_space;
use crate::metadata::Topic;
use crate::node::Node;

/// What a size that cannot be told is called.
const UNKNOWN_BYTES: i64 = -1;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: DescribeLogDirsRequest,
) -> DescribeLogDirsResponse {
    let cluster = node.metadata.cluster();
    let topics = match request.topics {
        None => cluster
            .topics()
            .map(|topic| described(&node, topic, topic.partitions()))
            .collect(),
        Some(topics) => topics
            .iter()
            .filter_map(|asked| {
                let topic = cluster.topic(&asked.topic)?;
                Some(described(&node, topic, existing(topic, asked)))
            })
            .collect(),
    };
    let (total, usable) = match disk_space::of(&node.config.data_dir).await {
        Some(space) => (space.total_bytes, space.usable_bytes),
        None => (UNKNOWN_BYTES, UNKNOWN_BYTES),
    };
    DescribeLogDirsResponse {
        results: vec![DescribeLogDirsResult {
            log_dir: node.config.data_dir.display().to_string(),
            topics,
            total_bytes: total,
            usable_bytes: usable,
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn existing(topic: &Topic, asked: &DescribableLogDirTopic) -> impl Iterator<Item = TopicPartition> {
    let indexes = asked.partitions.iter();
    indexes.filter_map(|index| topic.partition(PartitionIndex(*index)))
}

fn described(
    node: &Node,
    topic: &Topic,
    partitions: impl Iterator<Item = TopicPartition>,
) -> DescribeLogDirsTopic {
    let partitions = partitions.map(|partition| DescribeLogDirsPartition {
        partition_index: partition.partition.0,
        partition_size: node
            .log
            .stored_bytes(partition)
            .map_or(0, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
        ..Default::default()
    });
    DescribeLogDirsTopic {
        name: topic.name().to_owned(),
        partitions: partitions.collect(),
    }
}
