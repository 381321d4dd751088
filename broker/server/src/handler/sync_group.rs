//! SyncGroup (key 14), versions 0 to 5.
//!
//! Behavior:
//! * The response waits until the leader of the group has sent the assignments.

use std::sync::Arc;

use avouch_coordinator::group::{Coordinator, Generation, SyncGroup};
use avouch_protocol::messages::sync_group::{SyncGroupRequest, SyncGroupResponse};
use bytes::Bytes;

use super::Call;
use crate::error::KafkaError as _;

pub(super) async fn handle(
    groups: Arc<Coordinator>,
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
            .map(|assigned| {
                // A copy: a slice would keep the complete request frame in memory.
                let assignment = Bytes::copy_from_slice(&assigned.assignment);
                (assigned.member_id.into(), assignment)
            })
            .collect(),
    };
    // Completes when the leader's request is durable, or with an error at the session timeout.
    match groups.sync(sync).await {
        Ok(synced) => SyncGroupResponse {
            protocol_type: Some(synced.protocol_type.to_string()),
            protocol_name: Some(synced.protocol.to_string()),
            assignment: synced.assignment,
            ..Default::default()
        },
        Err(error) => SyncGroupResponse {
            error_code: error.error_code().code(),
            ..Default::default()
        },
    }
}
