//! OffsetFetch (key 9), versions 1 to 9; several groups at once from version 8.
//!
//! A partition without an offset answers -1 and no error. Null topics ask for every offset of the
//! group.

use std::sync::Arc;

use avouch_coordinator::group::{FetchedOffset, GroupError, OffsetsQuery};
use avouch_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use avouch_protocol::types::PartitionIndex;

use super::Call;
use crate::error::group_error;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    if call.version() >= 8 {
        let mut groups = Vec::with_capacity(request.groups.len());
        for group in request.groups {
            groups.push(fetch(&node, group).await);
        }
        return OffsetFetchResponse {
            groups,
            ..Default::default()
        };
    }
    let topics = request.topics.map(|topics| {
        topics
            .into_iter()
            .map(|topic| OffsetFetchRequestTopics {
                name: topic.name,
                partition_indexes: topic.partition_indexes,
            })
            .collect()
    });
    let group = OffsetFetchRequestGroup {
        group_id: request.group_id,
        topics,
        ..Default::default()
    };
    single(fetch(&node, group).await)
}

async fn fetch(node: &Node, asked: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    let partitions = asked.topics.as_ref().map(|topics| {
        topics
            .iter()
            .flat_map(|topic| {
                let index = |index: &i32| (topic.name.as_str().into(), PartitionIndex(*index));
                topic.partition_indexes.iter().map(index)
            })
            .collect()
    });
    let query = OffsetsQuery {
        group: asked.group_id.as_str().into(),
        partitions,
    };
    match node.groups.fetch_offsets(vec![query]).await {
        Ok(fetched) => OffsetFetchResponseGroup {
            group_id: asked.group_id,
            topics: by_topic(fetched.into_iter().flat_map(|group| group.offsets)),
            ..Default::default()
        },
        Err(error) => refused(asked, &error),
    }
}

fn by_topic(offsets: impl Iterator<Item = FetchedOffset>) -> Vec<OffsetFetchResponseTopics> {
    let mut topics: Vec<OffsetFetchResponseTopics> = Vec::new();
    for offset in offsets {
        if topics
            .last()
            .is_none_or(|topic| topic.name != offset.topic.as_str())
        {
            topics.push(OffsetFetchResponseTopics {
                name: offset.topic.to_string(),
                ..Default::default()
            });
        }
        if let Some(topic) = topics.last_mut() {
            topic.partitions.push(partition(offset));
        }
    }
    topics
}

fn partition(fetched: FetchedOffset) -> OffsetFetchResponsePartitions {
    let partition_index = fetched.partition.0;
    match fetched.committed {
        Some(committed) => OffsetFetchResponsePartitions {
            partition_index,
            committed_offset: committed.offset.0,
            committed_leader_epoch: committed.leader_epoch.0,
            metadata: Some(committed.metadata.to_string()),
            ..Default::default()
        },
        None => OffsetFetchResponsePartitions {
            partition_index,
            committed_offset: -1,
            committed_leader_epoch: -1,
            metadata: Some(String::new()),
            ..Default::default()
        },
    }
}

/// The error stands on the group and, for versions without that field, on every partition.
fn refused(asked: OffsetFetchRequestGroup, error: &GroupError) -> OffsetFetchResponseGroup {
    let error_code = group_error(error).code();
    let topics = asked.topics.unwrap_or_default().into_iter().map(|topic| {
        let failed = |index| OffsetFetchResponsePartitions {
            partition_index: index,
            committed_offset: -1,
            committed_leader_epoch: -1,
            metadata: Some(String::new()),
            error_code,
        };
        OffsetFetchResponseTopics {
            name: topic.name,
            partitions: topic.partition_indexes.into_iter().map(failed).collect(),
        }
    });
    OffsetFetchResponseGroup {
        group_id: asked.group_id,
        topics: topics.collect(),
        error_code,
    }
}

/// The form of versions 1 to 7: one group, its fields at the top.
fn single(group: OffsetFetchResponseGroup) -> OffsetFetchResponse {
    let partition = |partition: OffsetFetchResponsePartitions| OffsetFetchResponsePartition {
        partition_index: partition.partition_index,
        committed_offset: partition.committed_offset,
        committed_leader_epoch: partition.committed_leader_epoch,
        metadata: partition.metadata,
        error_code: partition.error_code,
    };
    let topics = group
        .topics
        .into_iter()
        .map(|topic| OffsetFetchResponseTopic {
            name: topic.name,
            partitions: topic.partitions.into_iter().map(partition).collect(),
        });
    OffsetFetchResponse {
        topics: topics.collect(),
        error_code: group.error_code,
        ..Default::default()
    }
}
