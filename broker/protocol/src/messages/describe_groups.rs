//! DescribeGroups: returns the state and the members of groups.

use bytes::Bytes;

use crate::message::message;

// Versions 1 and 2 equal 0. From version 6 on an unknown group is GROUP_ID_NOT_FOUND; older
// versions return the state `Dead` without an error (KIP-1043).
message! {
    DescribeGroups:
    /// The groups to describe.
    pub struct DescribeGroupsRequest {
        groups: Vec<String>,
        include_authorized_operations: bool [3..],
    }
}

message! {
    DescribeGroups:
    /// The groups.
    pub struct DescribeGroupsResponse {
        throttle_time_ms: i32 [1.., ignorable],
        groups: Vec<DescribedGroup>,
    }

    /// A group, or an error.
    pub struct DescribedGroup {
        error_code: i16,
        error_message: Option<String> [6..],
        group_id: String,
        group_state: String,
        protocol_type: String,
        protocol_data: String,
        members: Vec<DescribedGroupMember>,
        /// One bit for each operation. The default means that the client did not request them.
        authorized_operations: i32 [3..] = i32::MIN,
    }

    /// A member of a group.
    pub struct DescribedGroupMember {
        member_id: String,
        group_instance_id: Option<String> [4.., ignorable],
        client_id: String,
        client_host: String,
        member_metadata: Bytes,
        member_assignment: Bytes,
    }
}
