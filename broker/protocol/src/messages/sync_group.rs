//! SyncGroup: returns a member's assignment; the leader sends the assignments of all members.

use bytes::Bytes;

use crate::message::message;

// Versions 1 and 2 equal 0.
message! {
    SyncGroup:
    /// The member. Only the leader sends assignments.
    pub struct SyncGroupRequest {
        group_id: String,
        generation_id: i32,
        member_id: String,
        group_instance_id: Option<String> [3..],
        protocol_type: Option<String> [5.., ignorable],
        protocol_name: Option<String> [5.., ignorable],
        assignments: Vec<SyncGroupRequestAssignment>,
    }

    /// The assignment of one member, which the broker does not interpret.
    pub struct SyncGroupRequestAssignment {
        member_id: String,
        assignment: Bytes,
    }
}

message! {
    SyncGroup:
    /// The member's own assignment.
    pub struct SyncGroupResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: i16,
        protocol_type: Option<String> [5.., ignorable],
        protocol_name: Option<String> [5.., ignorable],
        assignment: Bytes,
    }
}
