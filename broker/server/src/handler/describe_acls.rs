//! DescribeAcls (key 29), versions 1 to 3: there are no access rules, and that is said as a Kafka
//! without an authorizer says it.

use std::sync::Arc;

use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::describe_acls::{DescribeAclsRequest, DescribeAclsResponse};

use super::Call;
use crate::node::Node;

pub(super) async fn handle(
    node: Arc<Node>,
    _call: Call,
    _request: DescribeAclsRequest,
) -> DescribeAclsResponse {
    DescribeAclsResponse {
        error_code: ErrorCode::SecurityDisabled.code(),
        error_message: Some(node.authorizer.acl_error().to_owned()),
        ..Default::default()
    }
}
