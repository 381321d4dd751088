//! DescribeCluster (key 60), versions 0 and 1: the one broker, which is the controller as well.
//!
//! Who asks for controllers (from version 1) is told that this listener is the brokers' (KIP-919).

use std::sync::Arc;

use avouch_protocol::api::Resource;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};

use super::Call;
use crate::node::Node;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    let refused = |error: ErrorCode, message: &str| DescribeClusterResponse {
        error_code: error.code(),
        error_message: Some(message.to_owned()),
        endpoint_type: request.endpoint_type,
        ..Default::default()
    };
    match request.endpoint_type {
        BROKERS => {}
        CONTROLLERS => {
            let message = "The request was sent to an endpoint of the wrong type.";
            return refused(ErrorCode::MismatchedEndpointType, message);
        }
        _ => {
            let message = "This endpoint type is not supported yet.";
            return refused(ErrorCode::UnsupportedEndpointType, message);
        }
    }
    let address = node.advertised(call.client.session.local);
    let mut response = DescribeClusterResponse {
        cluster_id: node.metadata.cluster_id().to_owned(),
        controller_id: node.config.node_id,
        brokers: vec![DescribeClusterBroker {
            broker_id: node.config.node_id,
            host: address.host,
            port: address.port,
            ..Default::default()
        }],
        ..Default::default()
    };
    if request.include_cluster_authorized_operations {
        let operations = call.allowed_operations(&node, Resource::Cluster);
        response.cluster_authorized_operations = operations;
    }
    response
}
