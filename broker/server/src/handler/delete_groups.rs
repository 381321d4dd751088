//! DeleteGroups (key 42), versions 0 to 2: forgets groups without members, with their offsets.

use std::collections::BTreeSet;
use std::sync::Arc;

use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::delete_groups::{
    DeletableGroupResult, DeleteGroupsRequest, DeleteGroupsResponse,
};

use super::Call;
use crate::error::group_error;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: DeleteGroupsRequest,
) -> DeleteGroupsResponse {
    // A group named twice is deleted once.
    let names: BTreeSet<String> = request.groups_names.into_iter().collect();
    let groups = names.iter().map(|name| name.as_str().into()).collect();
    let outcomes = node.groups.delete_groups(groups).await;
    let results = names.into_iter().zip(outcomes).map(|(group_id, outcome)| {
        let error = outcome.map_or_else(|error| group_error(&error), |()| ErrorCode::None);
        DeletableGroupResult {
            group_id,
            error_code: error.code(),
        }
    });
    DeleteGroupsResponse {
        results: results.collect(),
        ..Default::default()
    }
}
