//! OffsetFetch (key 9), versions 1 to 9.
//!
//! Behavior:
//! * A partition without a committed offset has offset -1 and no error.
//! * Null topics mean all offsets of the group.
//!
//! Version notes:
//! * Version 8 has several groups in one request (KIP-709).

use std::sync::Arc;

use avouch_coordinator::group::{Coordinator, FetchedOffset, GroupError, OffsetsQuery};
use avouch_protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics, OffsetFetchResponse,
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use avouch_protocol::types::PartitionIndex;

use super::Call;
use crate::error::KafkaError as _;

pub(super) async fn handle(
    groups: Arc<Coordinator>,
    call: Call,
    request: OffsetFetchRequest,
) -> OffsetFetchResponse {
    if call.version() >= 8 {
        let mut fetched = Vec::with_capacity(request.groups.len());
        for group in request.groups {
            fetched.push(fetch(&groups, group).await);
        }
        return OffsetFetchResponse {
            groups: fetched,
            ..Default::default()
        };
    }
    // The older form converts to the newer one, so that one function serves both.
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
    single(fetch(&groups, group).await)
}

async fn fetch(groups: &Coordinator, group: OffsetFetchRequestGroup) -> OffsetFetchResponseGroup {
    // None, for null topics, selects all committed offsets.
    let partitions = group.topics.as_ref().map(|topics| {
        topics
            .iter()
            .flat_map(|topic| {
                let index = |index: &i32| (topic.name.as_str().into(), PartitionIndex(*index));
                topic.partition_indexes.iter().map(index)
            })
            .collect()
    });
    let query = OffsetsQuery {
        group: group.group_id.as_str().into(),
        partitions,
    };
    match groups.fetch_offsets(vec![query]).await {
        Ok(fetched) => OffsetFetchResponseGroup {
            group_id: group.group_id,
            topics: by_topic(fetched.into_iter().flat_map(|fetched| fetched.offsets)),
            ..Default::default()
        },
        Err(error) => failed(group, &error),
    }
}

fn by_topic(offsets: impl Iterator<Item = FetchedOffset>) -> Vec<OffsetFetchResponseTopics> {
    let mut topics: Vec<OffsetFetchResponseTopics> = Vec::new();
    for offset in offsets {
        // The coordinator returns offsets grouped by topic in the order of the request.
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

/// Returns the response for a group that failed. Every partition has the code too, for versions in
/// which the group has none.
fn failed(group: OffsetFetchRequestGroup, error: &GroupError) -> OffsetFetchResponseGroup {
    let error_code = error.error_code().code();
    let topics = group.topics.unwrap_or_default().into_iter().map(|topic| {
        let partition = |index| OffsetFetchResponsePartitions {
            partition_index: index,
            committed_offset: -1,
            committed_leader_epoch: -1,
            metadata: Some(String::new()),
            error_code,
        };
        OffsetFetchResponseTopics {
            name: topic.name,
            partitions: topic.partition_indexes.into_iter().map(partition).collect(),
        }
    });
    OffsetFetchResponseGroup {
        group_id: group.group_id,
        topics: topics.collect(),
        error_code,
    }
}

/// Returns the response of versions 1 to 7, in which the fields of the only group are at the top.
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
