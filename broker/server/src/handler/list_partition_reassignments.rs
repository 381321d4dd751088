//! ListPartitionReassignments (key 46), version 0.
//!
//! Behavior:
//! * Returns no reassignments: a cluster of one broker has none.

use std::sync::Arc;

use avouch_protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::Call;
use crate::admin::Admin;

pub(super) async fn handle(
    _admin: Arc<Admin>,
    _call: Call,
    _request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default()
}
