//! ListTransactions (key 66), versions 0 to 2 (KIP-664).
//!
//! Behavior:
//! * Returns no transactions, because they are not supported, and the unknown names of states in
//!   the filter.

use std::sync::Arc;

use avouch_protocol::messages::list_transactions::{
    ListTransactionsRequest, ListTransactionsResponse,
};

use super::Call;
use crate::admin::Admin;

/// Kafka's names of the states of transactions.
const STATES: [&str; 8] = [
    "CompleteAbort",
    "CompleteCommit",
    "Dead",
    "Empty",
    "Ongoing",
    "PrepareAbort",
    "PrepareCommit",
    "PrepareEpochFence",
];

pub(super) async fn handle(
    _admin: Arc<Admin>,
    _call: Call,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    let mut unknown = request.state_filters;
    unknown.retain(|state| !STATES.contains(&state.as_str()));
    ListTransactionsResponse {
        unknown_state_filters: unknown,
        ..Default::default()
    }
}
