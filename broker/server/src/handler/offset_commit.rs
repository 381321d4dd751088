//! OffsetCommit (key 8), versions 2 to 9. An offset counts once it is durable.
//!
//! Retention is the broker's (KIP-211), but for a request of version 2 to 4 that asks for its own.
//! Topics that do not exist are refused one by one.

use std::sync::Arc;

use avouch_coordinator::group::{CommitOffsets, Generation, OffsetToCommit};
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitResponse, OffsetCommitResponsePartition,
    OffsetCommitResponseTopic,
};
use avouch_protocol::types::{LeaderEpoch, Offset, PartitionIndex};

use super::Call;
use crate::error::group_error;
use crate::node::Node;

/// As long as the broker keeps offsets.
const BROKERS_RETENTION: i64 = -1;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    let cluster = node.metadata.cluster();
    let mut topics = Vec::with_capacity(request.topics.len());
    let mut offsets = Vec::new();
    for topic in request.topics {
        let found = cluster.topic(&topic.name);
        let mut partitions = Vec::with_capacity(topic.partitions.len());
        for asked in topic.partitions {
            let index = PartitionIndex(asked.partition_index);
            let exists = found.is_some_and(|topic| topic.partition(index).is_some());
            if exists {
                offsets.push(OffsetToCommit {
                    topic: topic.name.as_str().into(),
                    partition: index,
                    offset: Offset(asked.committed_offset),
                    leader_epoch: LeaderEpoch(asked.committed_leader_epoch),
                    metadata: asked.committed_metadata.unwrap_or_default().into(),
                });
            }
            let error_code = if exists {
                ErrorCode::None
            } else {
                ErrorCode::UnknownTopicOrPartition
            }
            .code();
            partitions.push(OffsetCommitResponsePartition {
                partition_index: index.0,
                error_code,
            });
        }
        topics.push(OffsetCommitResponseTopic {
            name: topic.name,
            partitions,
        });
    }
    let committed = node.groups.commit_offsets(CommitOffsets {
        group: request.group_id.into(),
        member_id: request.member_id.into(),
        instance_id: request.group_instance_id.map(Into::into),
        generation: Generation(request.generation_id_or_member_epoch),
        retention_ms: (request.retention_time_ms != BROKERS_RETENTION)
            .then_some(request.retention_time_ms),
        offsets,
    });
    let committed = committed.await;
    let mut outcomes = match &committed {
        Ok(outcomes) => outcomes.iter(),
        Err(_) => [].iter(),
    };
    let asked = topics.iter_mut().flat_map(|topic| &mut topic.partitions);
    for partition in asked.filter(|partition| partition.error_code == ErrorCode::None.code()) {
        let error = match (&committed, outcomes.next()) {
            (Err(error), _) | (Ok(_), Some(Err(error))) => group_error(error),
            (Ok(_), Some(Ok(())) | None) => ErrorCode::None,
        };
        partition.error_code = error.code();
    }
    OffsetCommitResponse {
        topics,
        ..Default::default()
    }
}
