//! ListTransactions: returns the transactions of a coordinator (KIP-664).

use crate::message::message;

message! {
    ListTransactions:
    /// Filters; empty lists match all.
    pub struct ListTransactionsRequest {
        state_filters: Vec<String>,
        producer_id_filters: Vec<i64>,
        /// Minimum duration in ms; -1 matches all (KIP-994).
        duration_filter: i64 [1..] = -1,
        /// A regular expression; null matches all (KIP-1152).
        transactional_id_pattern: Option<String> [2..] = None,
    }
}

message! {
    ListTransactions:
    /// The transactions.
    pub struct ListTransactionsResponse {
        throttle_time_ms: i32,
        error_code: i16,
        unknown_state_filters: Vec<String>,
        transaction_states: Vec<TransactionState>,
    }

    /// A transaction.
    pub struct TransactionState {
        transactional_id: String,
        producer_id: i64,
        transaction_state: String,
    }
}
