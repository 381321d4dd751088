//! OffsetCommit (key 8), versions 2 to 9.
//!
//! Behavior:
//! * Responds once the offsets are durable; they are visible from then on.
//! * Partitions that do not exist are rejected one by one.
//! * A commit above the memory limits of offsets is rejected as INVALID_COMMIT_OFFSET_SIZE.
//!
//! Version notes:
//! * Versions 2 to 4 may set a retention; otherwise the broker's applies (KIP-211).

use std::sync::Arc;

use avouch_coordinator::group::{CommitOffsets, Generation, GroupError, GroupId, OffsetToCommit};
use avouch_protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestTopic, OffsetCommitResponse,
    OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use avouch_protocol::types::{LeaderEpoch, Offset, PartitionIndex};

use tracing::warn;

use super::Call;
use crate::error::{KafkaError as _, RequestError, code_of};
use crate::metadata::Cluster;
use crate::node::Node;

/// The retention in a request that means the broker's.
const BROKER_RETENTION: i64 = -1;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: OffsetCommitRequest,
) -> OffsetCommitResponse {
    // One snapshot for request and response, so that they agree on which partitions exist.
    let cluster = node.metadata.cluster();
    let group = GroupId::from(request.group_id);
    let committed = node.groups.commit_offsets(CommitOffsets {
        group: group.clone(),
        member_id: request.member_id.into(),
        instance_id: request.group_instance_id.map(Into::into),
        generation: Generation(request.generation_id_or_member_epoch),
        retention_ms: (request.retention_time_ms != BROKER_RETENTION)
            .then_some(request.retention_time_ms),
        offsets: offsets(&request.topics, &cluster),
    });
    let committed = committed.await;
    if let Err(error @ GroupError::OffsetsTooLarge { .. }) = &committed {
        // The response has only a code.
        warn!(group = group.as_str(), %error, "offset commit rejected");
    }
    let mut outcomes = match &committed {
        Ok(outcomes) => outcomes.iter(),
        Err(_) => [].iter(),
    };
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let partition_index = partition.partition_index;
            let error_code = match cluster.partition(&topic.name, partition_index) {
                None => RequestError::UnknownPartition.error_code().code(),
                Some(_) => code(&committed, outcomes.next()),
            };
            OffsetCommitResponsePartition {
                partition_index,
                error_code,
            }
        });
        OffsetCommitResponseTopic {
            partitions: partitions.collect(),
            name: topic.name,
        }
    });
    OffsetCommitResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}

/// Returns the offsets of partitions that exist, in the order of the request.
fn offsets(topics: &[OffsetCommitRequestTopic], cluster: &Cluster) -> Vec<OffsetToCommit> {
    let mut offsets = Vec::new();
    for topic in topics {
        for partition in &topic.partitions {
            let index = partition.partition_index;
            if cluster.partition(&topic.name, index).is_none() {
                continue;
            }
            let metadata = partition.committed_metadata.as_deref();
            offsets.push(OffsetToCommit {
                topic: topic.name.as_str().into(),
                partition: PartitionIndex(index),
                offset: Offset(partition.committed_offset),
                leader_epoch: LeaderEpoch(partition.committed_leader_epoch),
                metadata: metadata.unwrap_or_default().into(),
            });
        }
    }
    offsets
}

/// Returns the code of one offset: the request's error if there is one, otherwise its own.
fn code<Outcomes>(
    committed: &Result<Outcomes, GroupError>,
    outcome: Option<&Result<(), GroupError>>,
) -> i16 {
    match outcome {
        Some(outcome) => code_of(outcome),
        None => code_of(committed),
    }
}
