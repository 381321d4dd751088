//! Where a partition's leader is, told beside an error so that clients need not ask (KIP-951).

use crate::message::structures;

structures! {
    /// A partition's leader.
    pub struct LeaderIdAndEpoch {
        /// -1 when unknown.
        leader_id: i32 = -1,
        /// -1 when unknown.
        leader_epoch: i32 = -1,
    }

    /// A broker and its address.
    pub struct NodeEndpoint {
        node_id: i32,
        host: String,
        port: i32,
        rack: Option<String>,
    }
}
