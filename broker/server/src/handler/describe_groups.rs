//! DescribeGroups (key 15), versions 0 to 6.
//!
//! Version notes:
//! * A group that does not exist is in state Dead without an error; from version 6 with
//!   GROUP_ID_NOT_FOUND and a message (KIP-1043).

use std::sync::Arc;

use avouch_coordinator::group::{GroupDescription, GroupError};
use avouch_protocol::api::Resource;
use avouch_protocol::messages::describe_groups::{
    DescribeGroupsRequest, DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};

use super::Call;
use crate::error::KafkaError as _;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let described = node.admin.describe_groups(&request.groups).await;
    let operations = request
        .include_authorized_operations
        .then(|| call.allowed_operations(&node, Resource::Group));
    let groups = request.groups.into_iter().zip(described);
    let groups = groups.map(|(group_id, group)| match group {
        Ok(group) => existing(group_id, group, operations),
        Err(error) => dead(&call, group_id, &error),
    });
    DescribeGroupsResponse {
        groups: groups.collect(),
        ..Default::default()
    }
}

fn existing(group_id: String, group: GroupDescription, operations: Option<i32>) -> DescribedGroup {
    let members = group
        .members
        .into_iter()
        .map(|member| DescribedGroupMember {
            member_id: member.member_id.to_string(),
            group_instance_id: member.instance_id.map(|id| id.to_string()),
            client_id: member.client_id.to_string(),
            client_host: member.client_host.to_string(),
            member_metadata: member.metadata,
            member_assignment: member.assignment,
        });
    let mut described = DescribedGroup {
        group_id,
        group_state: group.state.to_string(),
        protocol_type: group
            .protocol_type
            .map_or_else(String::new, |kind| kind.to_string()),
        protocol_data: group
            .protocol
            .map_or_else(String::new, |protocol| protocol.to_string()),
        members: members.collect(),
        ..Default::default()
    };
    if let Some(operations) = operations {
        described.authorized_operations = operations;
    }
    described
}

fn dead(call: &Call, group_id: String, error: &GroupError) -> DescribedGroup {
    // Older clients treat any error as fatal for the complete request.
    let has_code = *error != GroupError::GroupIdNotFound || call.version() >= 6;
    DescribedGroup {
        error_code: if has_code {
            error.error_code().code()
        } else {
            0
        },
        error_message: (call.version() >= 6).then(|| format!("Group {group_id}: {error}.")),
        group_id,
        group_state: "Dead".to_owned(),
        ..Default::default()
    }
}
