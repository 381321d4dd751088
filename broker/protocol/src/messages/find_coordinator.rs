//! FindCoordinator: returns the coordinator of a group or a transaction; from version 4 on for
//! several keys at once (KIP-699).

use crate::message::message;

// Version 2 equals 1. From version 5 on the broker can return TRANSACTION_ABORTABLE (KIP-890), and
// version 6 allows share groups (KIP-932).
message! {
    FindCoordinator:
    /// The groups or transactional ids.
    pub struct FindCoordinatorRequest {
        key: String [..=3],
        /// 0 a group, 1 a transaction.
        key_type: i8 [1..],
        coordinator_keys: Vec<String> [4..],
    }
}

message! {
    FindCoordinator:
    /// The coordinators and their addresses.
    pub struct FindCoordinatorResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: i16 [..=3],
        error_message: Option<String> [1..=3, ignorable],
        node_id: i32 [..=3],
        host: String [..=3],
        port: i32 [..=3],
        coordinators: Vec<Coordinator> [4..],
    }

    /// The coordinator of one key.
    pub struct Coordinator {
        key: String,
        node_id: i32,
        host: String,
        port: i32,
        error_code: i16,
        error_message: Option<String>,
    }
}
