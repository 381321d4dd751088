//! DescribeClientQuotas (key 48), versions 0 and 1 (KIP-546).
//!
//! Behavior:
//! * Returns no quotas: clients cannot set any.

use std::sync::Arc;

use avouch_protocol::messages::describe_client_quotas::{
    DescribeClientQuotasRequest, DescribeClientQuotasResponse,
};

use super::Call;
use crate::admin::Admin;

pub(super) async fn handle(
    _admin: Arc<Admin>,
    _call: Call,
    _request: DescribeClientQuotasRequest,
) -> DescribeClientQuotasResponse {
    DescribeClientQuotasResponse {
        entries: Some(Vec::new()),
        ..Default::default()
    }
}
