//! AlterPartitionReassignments (key 45), version 0.
//!
//! Behavior:
//! * A reassignment to this broker, where every partition is, succeeds and changes nothing; one to
//!   other brokers is rejected.
//! * There is never a reassignment to cancel.

use std::sync::Arc;

use avouch_protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
    ReassignablePartitionResponse, ReassignableTopicResponse,
};

use super::Call;
use crate::admin::Admin;
use crate::error::{RequestError, code_and_message};

pub(super) async fn handle(
    admin: Arc<Admin>,
    _call: Call,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let cluster = admin.metadata.cluster();
    let node_id = admin.config.node_id;
    let topics = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.into_iter().map(|partition| {
            let partition_index = partition.partition_index;
            let exists = cluster.partition(&topic.name, partition_index).is_some();
            let checked = check(exists, partition.replicas, node_id);
            let (error_code, error_message) = code_and_message(&checked);
            ReassignablePartitionResponse {
                partition_index,
                error_code,
                error_message,
            }
        });
        ReassignableTopicResponse {
            partitions: partitions.collect(),
            name: topic.name,
        }
    });
    AlterPartitionReassignmentsResponse {
        responses: topics.collect(),
        ..Default::default()
    }
}

fn check(exists: bool, replicas: Option<Vec<i32>>, node_id: i32) -> Result<(), RequestError> {
    match replicas {
        _ if !exists => Err(RequestError::UnknownPartition),
        // Null cancels a reassignment.
        None => Err(RequestError::NoReassignmentInProgress),
        Some(replicas) if replicas == [node_id] => Ok(()),
        Some(replicas) => Err(RequestError::InvalidReplicaAssignment { replicas, node_id }),
    }
}
