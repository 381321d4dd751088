//! Produce: append record batches. A version carries exactly one batch of magic 2 a partition.
//! With acks 0 there is no response.

use super::leader::{LeaderIdAndEpoch, NodeEndpoint};
use crate::message::message;
use crate::primitives::Records;

message! {
    Produce:
    /// Batches to append, by topic and partition.
    pub struct ProduceRequest {
        transactional_id: Option<String>,
        /// 0 wants no response, 1 and -1 want durable batches.
        acks: i16,
        timeout_ms: i32,
        topic_data: Vec<TopicProduceData>,
    }

    /// Batches for one topic.
    pub struct TopicProduceData {
        name: String,
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
    /// Where the batches stand, or why they were refused.
    pub struct ProduceResponse {
        responses: Vec<TopicProduceResponse>,
        throttle_time_ms: i32,
        node_endpoints: Vec<NodeEndpoint> [10.., tag 0, ignorable],
    }

    /// Outcomes for one topic.
    pub struct TopicProduceResponse {
        name: String,
        partition_responses: Vec<PartitionProduceResponse>,
    }

    /// The outcome for one partition.
    pub struct PartitionProduceResponse {
        index: i32,
        error_code: i16,
        /// Offset of the first record, -1 with an error.
        base_offset: i64,
        /// The append time, or -1 when records keep their own timestamps.
        log_append_time_ms: i64 = -1,
        log_start_offset: i64 [5.., ignorable] = -1,
        record_errors: Vec<BatchIndexAndErrorMessage> [8.., ignorable],
        error_message: Option<String> [8.., ignorable],
        current_leader: LeaderIdAndEpoch [10.., tag 0, ignorable],
    }

    /// A record that caused its batch to be refused (KIP-467).
    pub struct BatchIndexAndErrorMessage {
        /// Index of the record in its batch.
        batch_index: i32,
        batch_index_error_message: Option<String>,
    }
}
