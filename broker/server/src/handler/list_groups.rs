//! ListGroups (key 16), versions 0 to 5, filtered by state (from 4) and type (from 5).

use std::sync::Arc;

use avouch_coordinator::group::{GroupListing, ListGroups};
use avouch_protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

use super::Call;
use crate::error::group_error;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: ListGroupsRequest,
) -> ListGroupsResponse {
    let filter = ListGroups {
        states: request.states_filter,
        types: request.types_filter,
    };
    match node.groups.list(filter).await {
        Ok(groups) => ListGroupsResponse {
            groups: groups.into_iter().map(listed).collect(),
            ..Default::default()
        },
        Err(error) => ListGroupsResponse {
            error_code: group_error(&error).code(),
            ..Default::default()
        },
    }
}

fn listed(group: GroupListing) -> ListedGroup {
    ListedGroup {
        group_id: group.group.to_string(),
        protocol_type: group
            .protocol_type
            .map_or_else(String::new, |kind| kind.to_string()),
        group_state: group.state.to_string(),
        group_type: GroupListing::TYPE.to_owned(),
    }
}
