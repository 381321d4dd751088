//! ElectLeaders (key 43), versions 0 to 2.
//!
//! Behavior:
//! * Elections are never needed: the only broker leads every partition.
//! * A request for all partitions returns none, because Kafka lists only those that got a leader.

use std::sync::Arc;

use avouch_protocol::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};

use super::Call;
use crate::admin::Admin;
use crate::error::{KafkaError as _, RequestError};

pub(super) async fn handle(
    admin: Arc<Admin>,
    _call: Call,
    request: ElectLeadersRequest,
) -> ElectLeadersResponse {
    let cluster = admin.metadata.cluster();
    let topics = request.topic_partitions.unwrap_or_default();
    let results = topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|index| {
            let error = match cluster.partition(&topic.topic, *index) {
                Some(_) => RequestError::ElectionNotNeeded,
                None => RequestError::UnknownPartition,
            };
            PartitionResult {
                partition_id: *index,
                error_code: error.error_code().code(),
                error_message: Some(error.to_string()),
            }
        });
        ReplicaElectionResult {
            partition_result: partitions.collect(),
            topic: topic.topic,
        }
    });
    ElectLeadersResponse {
        replica_election_results: results.collect(),
        ..Default::default()
    }
}
