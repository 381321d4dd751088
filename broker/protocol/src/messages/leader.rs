//! The leader of a partition, returned with an error so that clients need no Metadata request
//! (KIP-951).

use crate::message::structures;

structures! {
    /// A partition's leader.
    pub struct LeaderIdAndEpoch {
        // -1 means unknown.
        leader_id: i32 = -1,
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
