//! DeleteGroups: deletes groups without members.

use crate::message::message;

// Version 1 equals 0.
message! {
    DeleteGroups:
    /// The groups to delete.
    pub struct DeleteGroupsRequest {
        groups_names: Vec<String>,
    }
}

message! {
    DeleteGroups:
    /// The results.
    pub struct DeleteGroupsResponse {
        throttle_time_ms: i32,
        results: Vec<DeletableGroupResult>,
    }

    /// The result for one group.
    pub struct DeletableGroupResult {
        group_id: String,
        error_code: i16,
    }
}
