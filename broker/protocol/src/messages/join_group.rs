//! JoinGroup: adds a member to the next generation of a group.

use bytes::Bytes;

use crate::message::message;

// Version 3 equals 2. From version 4 on a new member receives MEMBER_ID_REQUIRED with its id and
// joins again, so that lost responses leave no unknown members (KIP-394).
message! {
    JoinGroup:
    /// The member and the assignment protocols that it supports.
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

    /// A protocol with metadata, which the broker does not interpret.
    pub struct JoinGroupRequestProtocol {
        name: String,
        metadata: Bytes,
    }
}

message! {
    JoinGroup:
    /// The generation. The leader receives all members.
    pub struct JoinGroupResponse {
        throttle_time_ms: i32 [2.., ignorable],
        error_code: i16,
        generation_id: i32 = -1,
        protocol_type: Option<String> [7.., ignorable],
        /// The selected protocol; for errors before version 7 empty instead of null.
        protocol_name: Option<String> [.., null 7..],
        leader: String,
        /// True if a static leader rejoins and must not assign partitions (KIP-814).
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
