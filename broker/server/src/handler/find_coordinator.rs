//! FindCoordinator (key 10), versions 0 to 6.
//!
//! Behavior:
//! * This broker coordinates every group. The first request creates `__consumer_offsets`.
//! * Transactions (key type 1) get TRANSACTIONAL_ID_AUTHORIZATION_FAILED, which clients treat as
//!   fatal: librdkafka retries other codes until `init_transactions` times out.
//! * Share groups (2) get INVALID_REQUEST.
//!
//! Version notes:
//! * Version 4 has several keys in one request (KIP-699).

use std::sync::Arc;

use avouch_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};

use super::Call;
use crate::error::{RequestError, code_and_message};
use crate::node::Node;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let checked = check(&node, request.key_type).await;
    // The result is the same for all keys of a request.
    let coordinator = |key: String| match &checked {
        Ok(()) => {
            let address = node.advertised(call.client.session.local);
            Coordinator {
                key,
                node_id: node.config.node_id,
                host: address.host,
                port: address.port,
                ..Default::default()
            }
        }
        Err(_) => {
            let (error_code, error_message) = code_and_message(&checked);
            Coordinator {
                key,
                node_id: -1,
                port: -1,
                error_code,
                error_message,
                ..Default::default()
            }
        }
    };
    if call.version() >= 4 {
        let keys = request.coordinator_keys.into_iter();
        return FindCoordinatorResponse {
            coordinators: keys.map(coordinator).collect(),
            ..Default::default()
        };
    }
    let coordinator = coordinator(request.key);
    FindCoordinatorResponse {
        error_code: coordinator.error_code,
        error_message: coordinator.error_message,
        node_id: coordinator.node_id,
        host: coordinator.host,
        port: coordinator.port,
        ..Default::default()
    }
}

async fn check(node: &Node, key_type: i8) -> Result<(), RequestError> {
    match key_type {
        GROUP => {}
        TRANSACTION => {
            // Logged, because some clients show no reason.
            tracing::warn!("transactional producer rejected: transactions are not supported");
            return Err(RequestError::TransactionsUnsupported);
        }
        other => return Err(RequestError::UnsupportedCoordinatorType(other)),
    }
    // Groups need the topic before their first record; Kafka creates it at this point too.
    match node.admin.find_or_create_offsets_topic().await {
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::error!(%error, "cannot create __consumer_offsets");
            Err(RequestError::CoordinatorNotAvailable(error.to_string()))
        }
    }
}
