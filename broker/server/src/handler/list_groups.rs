//! ListGroups (key 16), versions 0 to 5.
//!
//! Version notes:
//! * Version 4 filters by state (KIP-518), version 5 by type (KIP-848).

use std::sync::Arc;

use avouch_coordinator::group::{GroupListing, ListGroups};
use avouch_protocol::messages::list_groups::{ListGroupsRequest, ListGroupsResponse, ListedGroup};

use super::Call;
use crate::admin::Admin;
use crate::error::code_of;

pub(super) async fn handle(
    admin: Arc<Admin>,
    _call: Call,
    request: ListGroupsRequest,
) -> ListGroupsResponse {
    let filter = ListGroups {
        states: request.states_filter,
        types: request.types_filter,
    };
    let groups = admin.list_groups(filter).await;
    ListGroupsResponse {
        error_code: code_of(&groups),
        groups: groups.unwrap_or_default().into_iter().map(listed).collect(),
        ..Default::default()
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
