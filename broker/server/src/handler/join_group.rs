//! JoinGroup (key 11), versions 0 to 9. The reply waits until the whole group has joined.
//!
//! From version 4 a new member is first told its id and joins again with it (KIP-394).

use std::sync::Arc;

use avouch_coordinator::group::{GroupError, JoinGroup, JoinReply};
use avouch_protocol::messages::join_group::{
    JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember,
};
use bytes::Bytes;

use super::Call;
use crate::error::group_error;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: JoinGroupRequest,
) -> JoinGroupResponse {
    let member_id = request.member_id.clone();
    let join = JoinGroup {
        group: request.group_id.into(),
        member_id: request.member_id.into(),
        instance_id: request.group_instance_id.map(Into::into),
        client_id: call.header.client_id.as_deref().unwrap_or_default().into(),
        client_host: format!("/{}", call.client.session.peer.ip()).into(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        protocol_type: request.protocol_type.into(),
        protocols: request
            .protocols
            .into_iter()
            // A copy, which does not keep the whole frame.
            .map(|protocol| {
                (
                    protocol.name.into(),
                    Bytes::copy_from_slice(&protocol.metadata),
                )
            })
            .collect(),
        requires_known_member: call.version() >= 4,
        supports_skip_assignment: call.version() >= 9,
    };
    match node.groups.join(join).await {
        Ok(reply) => joined(reply),
        Err(error) => refused(&call, &error, member_id),
    }
}

fn joined(reply: JoinReply) -> JoinGroupResponse {
    let members = reply
        .members
        .into_iter()
        .map(|member| JoinGroupResponseMember {
            member_id: member.member_id.to_string(),
            group_instance_id: member.instance_id.map(|id| id.to_string()),
            metadata: member.metadata,
        });
    JoinGroupResponse {
        generation_id: reply.generation.0,
        protocol_type: Some(reply.protocol_type.to_string()),
        protocol_name: Some(reply.protocol.to_string()),
        leader: reply.leader.to_string(),
        skip_assignment: reply.skip_assignment,
        member_id: reply.member_id.to_string(),
        members: members.collect(),
        ..Default::default()
    }
}

fn refused(call: &Call, error: &GroupError, member_id: String) -> JoinGroupResponse {
    let member_id = match error {
        GroupError::MemberIdRequired { member_id } => member_id.to_string(),
        _ => member_id,
    };
    JoinGroupResponse {
        error_code: group_error(error).code(),
        // Null only exists from version 7 on.
        protocol_name: (call.version() < 7).then(String::new),
        member_id,
        ..Default::default()
    }
}
