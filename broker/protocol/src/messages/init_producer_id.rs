//! InitProducerId: a producer id for an idempotent or transactional producer.

use crate::message::message;

message! {
    InitProducerId:
    /// Who wants a producer id, and which it had.
    pub struct InitProducerIdRequest {
        transactional_id: Option<String>,
        transaction_timeout_ms: i32,
        /// The id it had, -1 for none.
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
