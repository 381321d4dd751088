//! OffsetDelete (key 47), version 0: makes a group forget offsets of topics it no longer reads.

use std::sync::Arc;

use avouch_coordinator::group::{DeleteOffsets, GroupError, TopicName};
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
};
use avouch_protocol::types::PartitionIndex;

use super::Call;
use crate::error::group_error;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let cluster = node.metadata.cluster();
    let mut existing: Vec<(TopicName, PartitionIndex)> = Vec::new();
    let topics = request.topics.into_iter().map(|topic| {
        let found = cluster.topic(&topic.name);
        let partitions = topic.partitions.iter().map(|asked| {
            let index = PartitionIndex(asked.partition_index);
            let exists = found.is_some_and(|topic| topic.partition(index).is_some());
            let error = if exists {
                existing.push((topic.name.as_str().into(), index));
                ErrorCode::None
            } else {
                ErrorCode::UnknownTopicOrPartition
            };
            OffsetDeleteResponsePartition {
                partition_index: index.0,
                error_code: error.code(),
            }
        });
        OffsetDeleteResponseTopic {
            partitions: partitions.collect(),
            name: topic.name,
        }
    });
    let topics = topics.collect();
    let deleted = node.groups.delete_offsets(DeleteOffsets {
        group: request.group_id.into(),
        partitions: existing,
    });
    match deleted.await {
        Ok(outcomes) => OffsetDeleteResponse {
            topics: with_outcomes(topics, &outcomes),
            ..Default::default()
        },
        Err(error) => OffsetDeleteResponse {
            error_code: group_error(&error).code(),
            ..Default::default()
        },
    }
}

/// The answers with what became of the partitions that exist, in their order.
fn with_outcomes(
    mut topics: Vec<OffsetDeleteResponseTopic>,
    outcomes: &[Result<(), GroupError>],
) -> Vec<OffsetDeleteResponseTopic> {
    let mut outcomes = outcomes.iter();
    let partitions = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for partition in partitions.filter(|partition| partition.error_code == 0) {
        if let Some(Err(error)) = outcomes.next() {
            partition.error_code = group_error(error).code();
        }
    }
    topics
}
