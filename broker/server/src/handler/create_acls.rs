//! CreateAcls (key 30), versions 1 to 3: refused, rule by rule; see `describe_acls`.

use std::sync::Arc;

use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::create_acls::{
    AclCreationResult, CreateAclsRequest, CreateAclsResponse,
};

use super::Call;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: CreateAclsRequest,
) -> CreateAclsResponse {
    let refused = |_| AclCreationResult {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(node.authorizer.acl_error().to_owned()),
    };
    CreateAclsResponse {
        results: request.creations.iter().map(refused).collect(),
        ..Default::default()
    }
}
