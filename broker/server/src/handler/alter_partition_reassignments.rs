//! AlterPartitionReassignments (key 45), version 0: a partition may only be put where it is, on the
//! one broker there is, and no move is ever under way that could be ended.

use std::sync::Arc;

use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use avouch_protocol::types::PartitionIndex;

use super::Call;
use crate::metadata::Topic;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: AlterPartitionReassignmentsRequest,
) -> AlterPartitionReassignmentsResponse {
    let cluster = node.metadata.cluster();
    let topics = request.topics.into_iter().map(|topic| {
        let found = cluster.topic(&topic.name);
        let partitions = topic.partitions.iter().map(|asked| {
            let decided = decide(found.map(AsRef::as_ref), asked, node.config.node_id);
            ReassignablePartitionResponse {
                partition_index: asked.partition_index,
                error_code: decided.map_or_else(|(error, _)| error.code(), |()| 0),
                error_message: decided.err().map(|(_, message)| message.to_owned()),
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

fn decide(
    topic: Option<&Topic>,
    asked: &ReassignablePartition,
    node_id: i32,
) -> Result<(), (ErrorCode, &'static str)> {
    let partition = topic.and_then(|topic| topic.partition(PartitionIndex(asked.partition_index)));
    match (partition, asked.replicas.as_deref()) {
        (None, _) => Err((
            ErrorCode::UnknownTopicOrPartition,
            "There is no such topic or partition.",
        )),
        (Some(_), None) => Err((
            ErrorCode::NoReassignmentInProgress,
            "The partition is not moving.",
        )),
        (Some(_), Some(replicas)) if replicas == [node_id] => Ok(()),
        (Some(_), Some(_)) => Err((
            ErrorCode::InvalidReplicaAssignment,
            "There is one broker, and the partition is there.",
        )),
    }
}
