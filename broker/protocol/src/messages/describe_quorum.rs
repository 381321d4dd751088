//! DescribeQuorum: returns the controllers that replicate the metadata (KIP-595, KIP-853).

use uuid::Uuid;

use crate::message::message;

message! {
    DescribeQuorum:
    /// The metadata partitions.
    pub struct DescribeQuorumRequest {
        topics: Vec<RequestedTopic>,
    }

    /// A topic.
    pub struct RequestedTopic {
        topic_name: String,
        partitions: Vec<RequestedPartition>,
    }

    /// A partition.
    pub struct RequestedPartition {
        partition_index: i32,
    }
}

message! {
    DescribeQuorum:
    /// The quorums.
    pub struct DescribeQuorumResponse {
        error_code: i16,
        error_message: Option<String> [2.., ignorable],
        topics: Vec<TopicData>,
        nodes: Vec<Node> [2..],
    }

    /// The quorums of a topic.
    pub struct TopicData {
        topic_name: String,
        partitions: Vec<PartitionData>,
    }

    /// The quorum of a partition.
    pub struct PartitionData {
        partition_index: i32,
        error_code: i16,
        error_message: Option<String> [2.., ignorable],
        leader_id: i32,
        leader_epoch: i32,
        high_watermark: i64,
        current_voters: Vec<ReplicaState>,
        observers: Vec<ReplicaState>,
    }

    /// The state of a replica.
    pub struct ReplicaState {
        replica_id: i32,
        replica_directory_id: Uuid [2..],
        log_end_offset: i64,
        /// Time in ms since the epoch; -1 if unknown.
        last_fetch_timestamp: i64 [1.., ignorable] = -1,
        /// Time in ms since the epoch; -1 if unknown.
        last_caught_up_timestamp: i64 [1.., ignorable] = -1,
    }

    /// A controller.
    pub struct Node {
        node_id: i32,
        listeners: Vec<Listener>,
    }

    /// A listener of a controller.
    pub struct Listener {
        name: String,
        host: String,
        port: u16,
    }
}
