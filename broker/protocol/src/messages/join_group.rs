//! JoinGroup: become a member of a group's next generation.

use bytes::Bytes;

use crate::message::message;

message! {
    JoinGroup:
    /// Who joins, and which protocols it speaks.
    pub struct JoinGroupRequest {
        group_id: String,
        session_timeout_ms: i32,
        rebalance_timeout_ms: i32 [1.., ignorable] = -1,
        member_id: String,
        /// Set by static members (KIP-345).
        group_instance_id: Option<String> [5..],
        protocol_type: String,
        protocols: Vec<JoinGroupRequestProtocol>,
        reason: Option<String> [8.., ignorable],
    }

    /// A protocol, with metadata that only members understand.
    pub struct JoinGroupRequestProtocol {
        name: String,
        metadata: Bytes,
    }
}

message! {
    JoinGroup:
    /// The generation joined; its leader gets all members.
    pub struct JoinGroupResponse {
        throttle_time_ms: i32 [2.., ignorable],
        error_code: i16,
        generation_id: i32 = -1,
        protocol_type: Option<String> [7.., ignorable],
        /// The protocol chosen; empty, not null, for errors before version 7.
        protocol_name: Option<String> [.., null 7..],
        leader: String,
        /// Tells a static leader that came back to assign nothing (KIP-814).
        skip_assignment: bool [9..],
        member_id: String,
        members: Vec<JoinGroupResponseMember>,
    }

    /// A member, for the leader to assign to.
    pub struct JoinGroupResponseMember {
        member_id: String,
        group_instance_id: Option<String> [5.., ignorable],
        metadata: Bytes,
    }
}
