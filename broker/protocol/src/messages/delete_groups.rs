//! DeleteGroups: forget groups without members.

use crate::message::message;

message! {
    DeleteGroups:
    /// The groups to delete.
    pub struct DeleteGroupsRequest {
        groups_names: Vec<String>,
    }
}

message! {
    DeleteGroups:
    /// The outcomes.
    pub struct DeleteGroupsResponse {
        throttle_time_ms: i32,
        results: Vec<DeletableGroupResult>,
    }

    /// The outcome for one group.
    pub struct DeletableGroupResult {
        group_id: String,
        error_code: i16,
    }
}
