//! Heartbeat (key 12), versions 0 to 4.
//!
//! Behavior:
//! * Keeps the member's session alive; REBALANCE_IN_PROGRESS requests that it joins again.

use std::sync::Arc;

use avouch_coordinator::group::{Coordinator, Generation, Heartbeat};
use avouch_protocol::messages::heartbeat::{HeartbeatRequest, HeartbeatResponse};

use super::Call;
use crate::error::code_of;

pub(super) async fn handle(
    groups: Arc<Coordinator>,
    _call: Call,
    request: HeartbeatRequest,
) -> HeartbeatResponse {
    let heartbeat = Heartbeat {
        group: request.group_id.into(),
        member_id: request.member_id.into(),
        instance_id: request.group_instance_id.map(Into::into),
        generation: Generation(request.generation_id),
    };
    HeartbeatResponse {
        error_code: code_of(&groups.heartbeat(heartbeat).await),
        ..Default::default()
    }
}
