//! SyncGroup (key 14), versions 0 to 5. The reply waits for the leader's assignments.

use std::sync::Arc;

use avouch_coordinator::group::{Generation, SyncGroup};
use avouch_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use bytes::Bytes;

use super::Call;
use crate::error::group_error;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: SyncGroupRequest,
) -> SyncGroupResponse {
    let sync = SyncGroup {
        group: request.group_id.into(),
        member_id: request.member_id.into(),
        instance_id: request.group_instance_id.map(Into::into),
        generation: Generation(request.generation_id),
        protocol_type: request.protocol_type.map(Into::into),
        protocol: request.protocol_name.map(Into::into),
        assignments: request
            .assignments
            .into_iter()
            // A copy, which does not keep the whole frame.
            .map(|assigned| {
                let assignment = Bytes::copy_from_slice(&assigned.assignment);
                (assigned.member_id.into(), assignment)
            })
            .collect(),
    };
    match node.groups.sync(sync).await {
        Ok(reply) => SyncGroupResponse {
            protocol_type: Some(reply.protocol_type.to_string()),
            protocol_name: Some(reply.protocol.to_string()),
            assignment: reply.assignment,
            ..Default::default()
        },
        Err(error) => SyncGroupResponse {
            error_code: group_error(&error).code(),
            ..Default::default()
        },
    }
}
