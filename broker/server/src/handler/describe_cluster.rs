//! DescribeCluster (key 60), versions 0 to 2.
//!
//! Behavior:
//! * Returns the only broker, which is the controller too.
//!
//! Version notes:
//! * Version 1 has an endpoint type (KIP-919). Requests for controllers get
//!   MISMATCHED_ENDPOINT_TYPE, because the listener is the broker's.
//! * Version 2 can include fenced brokers, of which there are none (KIP-1073).

use std::sync::Arc;

use avouch_protocol::api::Resource;
use avouch_protocol::messages::describe_cluster::{
    DescribeClusterBroker, DescribeClusterRequest, DescribeClusterResponse,
};

use super::Call;
use crate::error::{RequestError, code_and_message};
use crate::node::Node;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

pub(super) async fn handle(
    node: Arc<Node>,
    call: Call,
    request: DescribeClusterRequest,
) -> DescribeClusterResponse {
    let checked = match request.endpoint_type {
        BROKERS => Ok(()),
        CONTROLLERS => Err(RequestError::MismatchedEndpointType),
        other => Err(RequestError::UnsupportedEndpointType(other)),
    };
    if checked.is_err() {
        let (error_code, error_message) = code_and_message(&checked);
        return DescribeClusterResponse {
            error_code,
            error_message,
            endpoint_type: request.endpoint_type,
            ..Default::default()
        };
    }
    // The address of the listener to which this client is connected.
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
