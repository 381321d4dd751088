//! LeaveGroup (key 13), versions 0 to 5; several members at once, by id or static name, from 3.

use std::sync::Arc;

use avouch_coordinator::group::{LeaveGroup, LeavingMember};
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse,
};

use super::Call;
use crate::error::group_error;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: LeaveGroupRequest,
) -> LeaveGroupResponse {
    let members = if call.version() >= 3 {
        request.members
    } else {
        vec![MemberIdentity {
            member_id: request.member_id,
            ..Default::default()
        }]
    };
    let leaving = members.iter().map(|member| LeavingMember {
        member_id: member.member_id.as_str().into(),
        instance_id: member.group_instance_id.as_deref().map(Into::into),
    });
    let leave = LeaveGroup {
        group: request.group_id.into(),
        members: leaving.collect(),
    };
    let outcomes = match node.groups.leave(leave).await {
        Ok(outcomes) => outcomes,
        Err(error) => {
            let error_code = group_error(&error).code();
            return LeaveGroupResponse {
                error_code,
                ..Default::default()
            };
        }
    };
    let codes = outcomes.iter().map(|outcome| {
        outcome
            .as_ref()
            .map_or_else(group_error, |()| ErrorCode::None)
            .code()
    });
    if call.version() < 3 {
        let error_code = codes.into_iter().next().unwrap_or_default();
        return LeaveGroupResponse {
            error_code,
            ..Default::default()
        };
    }
    let members = members
        .into_iter()
        .zip(codes)
        .map(|(member, error_code)| MemberResponse {
            member_id: member.member_id,
            group_instance_id: member.group_instance_id,
            error_code,
        });
    LeaveGroupResponse {
        members: members.collect(),
        ..Default::default()
    }
}
