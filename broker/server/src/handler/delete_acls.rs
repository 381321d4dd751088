//! DeleteAcls (key 31), versions 1 to 3.
//!
//! Behavior:
//! * Rejects each filter, because the broker has no authorizer; see `describe_acls`.

use std::sync::Arc;

use avouch_protocol::messages::delete_acls::{
    DeleteAclsFilterResult, DeleteAclsRequest, DeleteAclsResponse,
};

use super::Call;
use crate::error::{RequestError, code_and_message};
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: DeleteAclsRequest,
) -> DeleteAclsResponse {
    let rejected = RequestError::SecurityDisabled(node.authorizer.acl_error());
    let (error_code, error_message) = code_and_message::<(), _>(&Err(rejected));
    let result = DeleteAclsFilterResult {
        error_code,
        error_message,
        ..Default::default()
    };
    DeleteAclsResponse {
        filter_results: vec![result; request.filters.len()],
        ..Default::default()
    }
}
