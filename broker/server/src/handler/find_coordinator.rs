//! FindCoordinator (key 10), versions 0 to 6; several keys at once from version 4.
//!
//! This broker coordinates every group. Transactions (key type 1) and share groups (2) are not
//! served and refused clearly.

use std::sync::Arc;

use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::find_coordinator::{
    Coordinator, FindCoordinatorRequest, FindCoordinatorResponse,
};

use super::Call;
use crate::node::Node;

const GROUP: i8 = 0;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let refused = refusal(&node, request.key_type).await;
    let coordinator = |key: String| match &refused {
        None => {
            let address = node.advertised(call.client.session.local);
            Coordinator {
                key,
                node_id: node.config.node_id,
                host: address.host,
                port: address.port,
                ..Default::default()
            }
        }
        Some((error, message)) => Coordinator {
            key,
            node_id: -1,
            port: -1,
            error_code: error.code(),
            error_message: Some(message.clone()),
            ..Default::default()
        },
    };
    if call.version() >= 4 {
        return FindCoordinatorResponse {
            coordinators: request
                .coordinator_keys
                .into_iter()
                .map(coordinator)
                .collect(),
            ..Default::default()
        };
    }
    let only = coordinator(request.key);
    FindCoordinatorResponse {
        error_code: only.error_code,
        error_message: only.error_message,
        node_id: only.node_id,
        host: only.host,
        port: only.port,
        ..Default::default()
    }
}

async fn refusal(node: &Arc<Node>, key_type: i8) -> Option<(ErrorCode, String)> {
    if key_type != GROUP {
        let message = "Only consumer groups have a coordinator here.".to_owned();
        return Some((ErrorCode::InvalidRequest, message));
    }
    match node.offsets_topic().await {
        Ok(_) => None,
        Err(error) => {
            tracing::error!(%error, "the offsets topic cannot be created");
            Some((ErrorCode::CoordinatorNotAvailable, error.to_string()))
        }
    }
}
