//! ElectLeaders (key 43), versions 0 to 2: the one broker leads every partition already.
//!
//! Asked about all partitions, it answers for none: Kafka only lists those that got a leader.

use std::sync::Arc;

use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use avouch_protocol::types::PartitionIndex;

use super::Call;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    let cluster = node.metadata.cluster();
    let topics = request.topic_partitions.unwrap_or_default();
    let results = topics.into_iter().map(|asked| {
        let topic = cluster.topic(&asked.topic);
        let partitions = asked.partitions.into_iter().map(|index| {
            let exists =
                topic.is_some_and(|topic| topic.partition(PartitionIndex(index)).is_some());
            let (error, message) = if exists {
                let message = "Leader election not needed for topic partition.";
                (ErrorCode::ElectionNotNeeded, message)
            } else {
                let message = "The partition does not exist.";
                (ErrorCode::UnknownTopicOrPartition, message)
            };
            PartitionResult {
                partition_id: index,
                error_code: error.code(),
                error_message: Some(message.to_owned()),
            }
        });
        ReplicaElectionResult {
            partition_result: partitions.collect(),
            topic: asked.topic,
        }
    });
    ElectLeadersResponse {
        replica_election_results: results.collect(),
        ..Default::default()
    }
}
