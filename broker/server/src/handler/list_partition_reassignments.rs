//! ListPartitionReassignments (key 46), version 0: nothing ever moves, there is one broker.

use std::sync::Arc;

use avouch_protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

use super::Call;
use crate::node::Node;

pub(super) async fn handle(
    _node: Arc<Node>,
    _call: Call,
    _request: ListPartitionReassignmentsRequest,
) -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default()
}
