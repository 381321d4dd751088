//! OffsetDelete (key 47), version 0 (KIP-496).
//!
//! Behavior:
//! * Deletes committed offsets of topics that the group does not subscribe to.

use std::sync::Arc;

use avouch_protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteResponse, OffsetDeleteResponsePartition,
    OffsetDeleteResponseTopic,
};

use super::Call;
use crate::admin::Admin;
use crate::error::{KafkaError as _, code_of};

pub(super) async fn handle(
    admin: Arc<Admin>,
    _call: Call,
    request: OffsetDeleteRequest,
) -> OffsetDeleteResponse {
    let partitions: Vec<(&str, i32)> = request
        .topics
        .iter()
        .flat_map(|topic| {
            let partitions = topic.partitions.iter();
            partitions.map(|partition| (topic.name.as_str(), partition.partition_index))
        })
        .collect();
    let outcomes = match admin.delete_offsets(request.group_id, &partitions).await {
        Ok(outcomes) => outcomes,
        Err(error) => {
            return OffsetDeleteResponse {
                error_code: error.error_code().code(),
                ..Default::default()
            };
        }
    };
    let mut outcomes = outcomes.iter();
    let topics = request.topics.iter().map(|topic| {
        // Each topic consumes as many outcomes as it has partitions.
        let partitions = topic.partitions.iter().zip(outcomes.by_ref());
        let partitions = partitions.map(|(partition, outcome)| OffsetDeleteResponsePartition {
            partition_index: partition.partition_index,
            error_code: code_of(outcome),
        });
        OffsetDeleteResponseTopic {
            partitions: partitions.collect(),
            name: topic.name.clone(),
        }
    });
    OffsetDeleteResponse {
        topics: topics.collect(),
        ..Default::default()
    }
}
