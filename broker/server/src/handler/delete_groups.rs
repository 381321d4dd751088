//! DeleteGroups (key 42), versions 0 to 2.
//!
//! Behavior:
//! * Deletes groups without members, with their committed offsets.

use std::sync::Arc;

use avouch_protocol::messages::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};

use super::Call;
use crate::admin::Admin;
use crate::error::code_of;

pub(super) async fn handle(
    admin: Arc<Admin>,
    _call: Call,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    let deleted = admin.delete_groups(request.groups_names).await;
    let results = deleted
        .into_iter()
        .map(|(group_id, outcome)| DeletableGroupResult {
            group_id,
            error_code: code_of(&outcome),
        });
    DeleteGroupsResponse {
        results: results.collect(),
        ..Default::default()
    }
}
