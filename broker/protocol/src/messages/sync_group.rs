//! SyncGroup: get the assignment of a generation; its leader brings everyone's.

use bytes::Bytes;

use crate::message::message;

message! {
    SyncGroup:
    /// The assignments, when the leader sends them.
    pub struct SyncGroupRequest {
        group_id: String,
        generation_id: i32,
        member_id: String,
        group_instance_id: Option<String> [3..],
        protocol_type: Option<String> [5.., ignorable],
        protocol_name: Option<String> [5.., ignorable],
        assignments: Vec<SyncGroupRequestAssignment>,
    }

    /// What one member is assigned, which only members understand.
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
