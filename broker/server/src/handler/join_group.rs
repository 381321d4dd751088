//! JoinGroup (key 11), versions 0 to 9.
//!
//! Behavior:
//! * The response waits until all members of the group have joined or the rebalance timeout has
//!   passed.
//!
//! Version notes:
//! * From version 4 a new member gets MEMBER_ID_REQUIRED with its id and joins again (KIP-394).

use std::sync::Arc;

use avouch_coordinator::group::{Coordinator, GroupError, JoinGroup, JoinResponse};
use avouch_protocol::messages::join_group::{
    JoinGroupRequest, JoinGroupResponse, JoinGroupResponseMember,
};
use bytes::Bytes;

use super::Call;
use crate::error::KafkaError as _;

pub(super) async fn handle(
    groups: Arc<Coordinator>,
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
            .map(|protocol| {
                // A copy: a slice would keep the complete request frame in memory.
                let metadata = Bytes::copy_from_slice(&protocol.metadata);
                (protocol.name.into(), metadata)
            })
            .collect(),
        requires_known_member: call.version() >= 4,
        supports_skip_assignment: call.version() >= 9,
    };
    match groups.join(join).await {
        Ok(joined) => success(joined),
        Err(error) => failure(&call, &error, member_id),
    }
}

fn success(joined: JoinResponse) -> JoinGroupResponse {
    let members = joined
        .members
        .into_iter()
        .map(|member| JoinGroupResponseMember {
            member_id: member.member_id.to_string(),
            group_instance_id: member.instance_id.map(|id| id.to_string()),
            metadata: member.metadata,
        });
    JoinGroupResponse {
        generation_id: joined.generation.0,
        protocol_type: Some(joined.protocol_type.to_string()),
        protocol_name: Some(joined.protocol.to_string()),
        leader: joined.leader.to_string(),
        skip_assignment: joined.skip_assignment,
        member_id: joined.member_id.to_string(),
        members: members.collect(),
        ..Default::default()
    }
}

fn failure(call: &Call, error: &GroupError, member_id: String) -> JoinGroupResponse {
    let member_id = match error {
        GroupError::MemberIdRequired { member_id } => member_id.to_string(),
        _ => member_id,
    };
    JoinGroupResponse {
        error_code: error.error_code().code(),
        // The field is nullable from version 7.
        protocol_name: (call.version() < 7).then(String::new),
        member_id,
        ..Default::default()
    }
}
