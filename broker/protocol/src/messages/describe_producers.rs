//! DescribeProducers: returns the state of producers in partitions (KIP-664).

use crate::message::message;

message! {
    DescribeProducers:
    /// The partitions.
    pub struct DescribeProducersRequest {
        topics: Vec<TopicRequest>,
    }

    /// The partitions of a topic.
    pub struct TopicRequest {
        name: String,
        partition_indexes: Vec<i32>,
    }
}

message! {
    DescribeProducers:
    /// The producers.
    pub struct DescribeProducersResponse {
        throttle_time_ms: i32,
        topics: Vec<TopicResponse>,
    }

    /// The producers of a topic.
    pub struct TopicResponse {
        name: String,
        partitions: Vec<PartitionResponse>,
    }

    /// The producers of a partition.
    pub struct PartitionResponse {
        partition_index: i32,
        error_code: i16,
        error_message: Option<String> = None,
        active_producers: Vec<ProducerState>,
    }

    /// The state of a producer.
    pub struct ProducerState {
        producer_id: i64,
        producer_epoch: i32,
        last_sequence: i32 = -1,
        /// Timestamp of the last batch in ms; -1 if unknown.
        last_timestamp: i64 = -1,
        /// -1 if no coordinator has written to the partition.
        coordinator_epoch: i32,
        /// -1 if no transaction is open.
        current_txn_start_offset: i64 = -1,
    }
}
