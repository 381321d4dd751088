//! Metadata: returns brokers, topics, partitions and leaders.

use uuid::Uuid;

use crate::message::message;

// Version 6 equals 5. From version 12 on clients can name topics by id only (KIP-516).
message! {
    Metadata:
    /// The topics.
    pub struct MetadataRequest {
        /// Null requests all topics; so does an empty list in version 0.
        topics: Option<Vec<MetadataRequestTopic>> [.., null 1..] = Some(Vec::new()),
        allow_auto_topic_creation: bool [4..] = true,
        include_cluster_authorized_operations: bool [8..=10],
        include_topic_authorized_operations: bool [8..],
    }

    /// A topic by name or, from version 10 on, by id.
    pub struct MetadataRequestTopic {
        topic_id: Uuid [10.., ignorable],
        name: Option<String> [.., null 10..],
    }
}

message! {
    Metadata:
    /// Brokers and topics.
    pub struct MetadataResponse {
        throttle_time_ms: i32 [3.., ignorable],
        brokers: Vec<MetadataResponseBroker>,
        cluster_id: Option<String> [2.., ignorable],
        controller_id: i32 [1.., ignorable] = -1,
        topics: Vec<MetadataResponseTopic>,
        /// One bit for each operation. The default means that the client did not request them.
        cluster_authorized_operations: i32 [8..=10] = i32::MIN,
    }

    /// A broker and its address.
    pub struct MetadataResponseBroker {
        node_id: i32,
        host: String,
        port: i32,
        rack: Option<String> [1.., ignorable],
    }

    /// A topic, or an error.
    pub struct MetadataResponseTopic {
        error_code: i16,
        name: Option<String> [.., null 12..],
        topic_id: Uuid [10.., ignorable],
        is_internal: bool [1.., ignorable],
        partitions: Vec<MetadataResponsePartition>,
        /// One bit for each operation. The default means that the client did not request them.
        topic_authorized_operations: i32 [8..] = i32::MIN,
    }

    /// A partition and its leader.
    pub struct MetadataResponsePartition {
        error_code: i16,
        partition_index: i32,
        leader_id: i32,
        leader_epoch: i32 [7.., ignorable] = -1,
        replica_nodes: Vec<i32>,
        isr_nodes: Vec<i32>,
        offline_replicas: Vec<i32> [5.., ignorable],
    }
}
