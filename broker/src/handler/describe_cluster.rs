//! DescribeCluster (key 60), versions 0 and 1: the one broker, which is the controller as well.

use std::sync::Arc;

use super::Call;
use crate::server::Node;
use crate::wire::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    _request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    let address = node.advertised(&call.client);
    DescribeClusterResponse {
        cluster_id: node.metadata.cluster_id().to_owned(),
        controller_id: node.config.node_id,
        brokers: vec![DescribeClusterBroker {
            broker_id: node.config.node_id,
            host: address.host,
            port: address.port,
            ..Default::default()
        }],
        ..Default::default()
    }
}
