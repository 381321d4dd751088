//! DescribeAcls (key 29), versions 1 to 3.
//!
//! Behavior:
//! * Returns SECURITY_DISABLED, as a Kafka broker without an authorizer does.

use std::sync::Arc;

use avouch_protocol::messages::describe_acls::{DescribeAclsRequest, DescribeAclsResponse};

use super::Call;
use crate::error::{RequestError, code_and_message};
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    _request: DescribeAclsRequest,
) -> DescribeAclsResponse {
    let rejected = RequestError::SecurityDisabled(node.authorizer.acl_error());
    let (error_code, error_message) = code_and_message::<(), _>(&Err(rejected));
    DescribeAclsResponse {
        error_code,
        error_message,
        ..Default::default()
    }
}
