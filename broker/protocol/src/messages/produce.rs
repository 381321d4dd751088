//! Produce: appends record batches, exactly one batch of magic 2 for each partition. With acks 0
//! there is no response.

use uuid::Uuid;

use super::leader::{LeaderIdAndEpoch, NodeEndpoint};
use crate::message::message;
use crate::primitives::Records;

// Versions 0 to 2 contained batches of magic 0 and 1 (removed by KIP-896). Versions 4 and 6 equal
// the ones before them. From version 7 on batches can be compressed with zstd (KIP-110). With
// version 12 a transactional producer adds partitions implicitly (KIP-890). From version 13 on
// topics have ids instead of names (KIP-516).
message! {
    Produce:
    /// Batches to append, by topic and partition.
    pub struct ProduceRequest {
        transactional_id: Option<String>,
        /// 0 for no response; 1 and -1 for a response after the batches are durable.
        acks: i16,
        timeout_ms: i32,
        topic_data: Vec<TopicProduceData>,
    }

    /// Batches for one topic.
    pub struct TopicProduceData {
        name: String [..=12, ignorable],
        topic_id: Uuid [13.., ignorable],
        partition_data: Vec<PartitionProduceData>,
    }

    /// The batch for one partition.
    pub struct PartitionProduceData {
        index: i32,
        records: Option<Records>,
    }
}

message! {
    Produce:
    /// The offsets of the batches, or errors.
    pub struct ProduceResponse {
        responses: Vec<TopicProduceResponse>,
        throttle_time_ms: i32,
        node_endpoints: Vec<NodeEndpoint> [10.., tag 0, ignorable],
    }

    /// Results for one topic.
    pub struct TopicProduceResponse {
        name: String [..=12, ignorable],
        topic_id: Uuid [13.., ignorable],
        partition_responses: Vec<PartitionProduceResponse>,
    }

    /// The result for one partition.
    pub struct PartitionProduceResponse {
        index: i32,
        error_code: i16,
        /// Offset of the first record, -1 in case of an error.
        base_offset: i64,
        /// The append time, or -1 if records keep their own timestamps.
        log_append_time_ms: i64 = -1,
        log_start_offset: i64 [5.., ignorable] = -1,
        record_errors: Vec<BatchIndexAndErrorMessage> [8.., ignorable],
        error_message: Option<String> [8.., ignorable],
        current_leader: LeaderIdAndEpoch [10.., tag 0, ignorable],
    }

    /// A record for which its batch was rejected (KIP-467).
    pub struct BatchIndexAndErrorMessage {
        /// Index of the record in its batch.
        batch_index: i32,
        batch_index_error_message: Option<String>,
    }
}
