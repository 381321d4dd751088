//! DescribeGroups: state and members of groups.

use bytes::Bytes;

use crate::message::message;

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

    /// A group, or why it cannot be told about.
    pub struct DescribedGroup {
        error_code: i16,
        error_message: Option<String> [6..],
        group_id: String,
        group_state: String,
        protocol_type: String,
        protocol_data: String,
        members: Vec<DescribedGroupMember>,
        /// A bit an operation; the default says that nobody asked.
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
