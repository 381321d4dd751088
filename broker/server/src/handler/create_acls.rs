//! CreateAcls (key 30), versions 1 to 3.
//!
//! Behavior:
//! * Rejects each ACL, because the broker has no authorizer; see `describe_acls`.

use std::sync::Arc;

use avouch_protocol::messages::create_acls::{
    AclCreationResult, CreateAclsRequest, CreateAclsResponse,
};

use super::Call;
use crate::error::{RequestError, code_and_message};
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    request: CreateAclsRequest,
) -> CreateAclsResponse {
    let rejected = RequestError::SecurityDisabled(node.authorizer.acl_error());
    let (error_code, error_message) = code_and_message::<(), _>(&Err(rejected));
    let result = AclCreationResult {
        error_code,
        error_message,
    };
    CreateAclsResponse {
        results: vec![result; request.creations.len()],
        ..Default::default()
    }
}
