//! DescribeQuorum (key 55), versions 0 to 2.
//!
//! Behavior:
//! * The only broker is the leader and the only voter of `__cluster_metadata`. The metadata is in a
//!   database, so the offsets of the partition are 0.
//! * Other topics get UNKNOWN_TOPIC_OR_PARTITION.
//!
//! Version notes:
//! * Version 1 has the time of the last fetch of each replica (KIP-836), version 2 the controllers'
//!   listeners (KIP-853).

use std::sync::Arc;

use avouch_protocol::messages::describe_quorum::{
    DescribeQuorumRequest, DescribeQuorumResponse, Listener, Node as QuorumNode, PartitionData,
    ReplicaState, TopicData,
};

use super::Call;
use crate::error::{RequestError, code_and_message};
use crate::node::Node;

const METADATA_TOPIC: &str = "__cluster_metadata";
const METADATA_PARTITION: i32 = 0;
/// The epoch of a leader that never changes.
const LEADER_EPOCH: i32 = 1;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: DescribeQuorumRequest,
) -> DescribeQuorumResponse {
    let node_id = node.config.node_id;
    let topics = request.topics.into_iter().map(|topic| {
        let is_metadata = topic.topic_name == METADATA_TOPIC;
        let partitions = topic
            .partitions
            .iter()
            .map(|partition| match partition.partition_index {
                METADATA_PARTITION if is_metadata => quorum(node_id),
                other => unknown(other),
            });
        TopicData {
            partitions: partitions.collect(),
            topic_name: topic.topic_name,
        }
    });
    let topics = topics.collect();
    let address = node.advertised(call.client.session.local);
    DescribeQuorumResponse {
        topics,
        nodes: if call.version() < 2 {
            Vec::new()
        } else {
            vec![QuorumNode {
                node_id,
                listeners: vec![Listener {
                    name: "PLAINTEXT".to_owned(),
                    host: address.host,
                    port: u16::try_from(address.port).unwrap_or(0),
                }],
            }]
        },
        ..Default::default()
    }
}

fn quorum(node_id: i32) -> PartitionData {
    PartitionData {
        partition_index: METADATA_PARTITION,
        leader_id: node_id,
        leader_epoch: LEADER_EPOCH,
        current_voters: vec![ReplicaState {
            replica_id: node_id,
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn unknown(partition_index: i32) -> PartitionData {
    let error = Err(RequestError::UnknownPartition);
    let (error_code, error_message) = code_and_message::<(), _>(&error);
    PartitionData {
        partition_index,
        error_code,
        error_message,
        ..Default::default()
    }
}
