//! DeleteAcls (key 31), versions 1 to 3: refused, filter by filter; see `describe_acls`.

use std::sync::Arc;

use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::delete_acls::{
    DeleteAclsFilterResult, DeleteAclsRequest, DeleteAclsResponse,
};

use super::Call;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: DeleteAclsRequest,
) -> DeleteAclsResponse {
    let refused = |_| DeleteAclsFilterResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(node.authorizer.acl_error().to_owned()),
        ..Default::default()
    };
    DeleteAclsResponse {
        filter_results: request.filters.iter().map(refused).collect(),
        ..Default::default()
    }
}
