//! LeaveGroup (key 13), versions 0 to 5.
//!
//! Version notes:
//! * Version 3 has several members in one request, by member id or group instance id (KIP-345).

use std::sync::Arc;

use avouch_coordinator::group::{Coordinator, LeaveGroup, LeavingMember};
use avouch_protocol::messages::leave_group::{
    LeaveGroupRequest, LeaveGroupResponse, MemberIdentity, MemberResponse,
};

use super::Call;
use crate::error::{KafkaError as _, code_of};

pub(super) async fn handle(
    groups: Arc<Coordinator>,
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
    let outcomes = match groups.leave(leave).await {
        Ok(outcomes) => outcomes,
        Err(error) => {
            return LeaveGroupResponse {
                error_code: error.error_code().code(),
                ..Default::default()
            };
        }
    };
    // The older form has the member's error at the top.
    if call.version() < 3 {
        return LeaveGroupResponse {
            error_code: outcomes.first().map(code_of).unwrap_or_default(),
            ..Default::default()
        };
    }
    let members = members
        .into_iter()
        .zip(&outcomes)
        .map(|(member, outcome)| MemberResponse {
            member_id: member.member_id,
            group_instance_id: member.group_instance_id,
            error_code: code_of(outcome),
        });
    LeaveGroupResponse {
        members: members.collect(),
        ..Default::default()
    }
}
