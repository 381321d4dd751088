//! Heartbeat (key 12), versions 0 to 4: a member says it lives and hears of rebalances.

use std::sync::Arc;

use avouch_coordinator::group::{Generation, Heartbeat};
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use super::Call;
use crate::error::group_error;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: HeartbeatRequest,
) -> HeartbeatResponse {
    let heartbeat = Heartbeat {
        group: request.group_id.into(),
        member_id: request.member_id.into(),
        instance_id: request.group_instance_id.map(Into::into),
        generation: Generation(request.generation_id),
    };
    let answered = node.groups.heartbeat(heartbeat).await;
    let error = answered.map_or_else(|error| group_error(&error), |()| ErrorCode::None);
    HeartbeatResponse {
        error_code: error.code(),
        ..Default::default()
    }
}
