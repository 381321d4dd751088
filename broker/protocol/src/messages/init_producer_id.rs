//! InitProducerId: assigns a producer id to an idempotent or transactional producer.

use crate::message::message;

// Version 1 equals 0. From version 4 on the broker can return PRODUCER_FENCED, and from 5 on
// TRANSACTION_ABORTABLE (KIP-890).
message! {
    InitProducerId:
    /// The producer and its current id.
    pub struct InitProducerIdRequest {
        transactional_id: Option<String>,
        transaction_timeout_ms: i32,
        /// The current id, -1 for none (KIP-360).
        producer_id: i64 [3..] = -1,
        producer_epoch: i16 [3..] = -1,
    }
}

message! {
    InitProducerId:
    /// The producer id and epoch.
    pub struct InitProducerIdResponse {
        throttle_time_ms: i32,
        error_code: i16,
        producer_id: i64 = -1,
        producer_epoch: i16,
    }
}
