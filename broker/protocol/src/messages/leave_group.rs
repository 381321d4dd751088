//! LeaveGroup: removes a member from a group; from version 3 on several members at once (KIP-345).

use crate::message::message;

// Versions 1 and 2 equal 0.
message! {
    LeaveGroup:
    /// The members to remove.
    pub struct LeaveGroupRequest {
        group_id: String,
        member_id: String [..=2],
        members: Vec<MemberIdentity> [3..],
    }

    /// A member that leaves.
    pub struct MemberIdentity {
        member_id: String,
        group_instance_id: Option<String>,
        reason: Option<String> [5.., ignorable],
    }
}

message! {
    LeaveGroup:
    /// The removed members.
    pub struct LeaveGroupResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: i16,
        members: Vec<MemberResponse> [3..],
    }

    /// The result for one member.
    pub struct MemberResponse {
        member_id: String,
        group_instance_id: Option<String>,
        error_code: i16,
    }
}
