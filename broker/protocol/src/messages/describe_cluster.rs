//! DescribeCluster: returns the brokers and the cluster id (KIP-700).

use crate::message::message;

message! {
    DescribeCluster:
    /// The options.
    pub struct DescribeClusterRequest {
        include_cluster_authorized_operations: bool,
        /// 1 brokers, 2 controllers.
        endpoint_type: i8 [1..] = 1,
        include_fenced_brokers: bool [2..],
    }
}

message! {
    DescribeCluster:
    /// The cluster.
    pub struct DescribeClusterResponse {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<String>,
        /// 1 brokers, 2 controllers.
        endpoint_type: i8 [1..] = 1,
        cluster_id: String,
        controller_id: i32 = -1,
        brokers: Vec<DescribeClusterBroker>,
        /// One bit for each operation. The default means that the client did not request them.
        cluster_authorized_operations: i32 = i32::MIN,
    }

    /// A broker and its address.
    pub struct DescribeClusterBroker {
        broker_id: i32,
        host: String,
        port: i32,
        rack: Option<String>,
        is_fenced: bool [2..],
    }
}
