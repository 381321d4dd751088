//! ListGroups: returns the groups of a broker.

use crate::message::message;

// Versions 1 and 2 equal 0.
message! {
    ListGroups:
    /// Filters; an empty filter matches all groups.
    pub struct ListGroupsRequest {
        states_filter: Vec<String> [4..],
        types_filter: Vec<String> [5..],
    }
}

message! {
    ListGroups:
    /// The groups.
    pub struct ListGroupsResponse {
        throttle_time_ms: i32 [1.., ignorable],
        error_code: i16,
        groups: Vec<ListedGroup>,
    }

    /// A group.
    pub struct ListedGroup {
        group_id: String,
        protocol_type: String,
        group_state: String [4.., ignorable],
        group_type: String [5.., ignorable],
    }
}
