//! LeaveGroup: leave a group; from version 3 on several members at once.

use crate::message::message;

message! {
    LeaveGroup:
    /// Who leaves.
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
    /// Who has left.
    pub struct LeaveGroupResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: i16,
        members: Vec<MemberResponse> [3..],
    }

    /// The outcome for one member.
    pub struct MemberResponse {
        member_id: String,
        group_instance_id: Option<String>,
        error_code: i16,
    }
}
