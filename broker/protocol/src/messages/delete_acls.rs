//! DeleteAcls: take back who may do what.

use crate::message::message;

message! {
    DeleteAcls:
    /// The rules to delete.
    pub struct DeleteAclsRequest {
        filters: Vec<DeleteAclsFilter>,
    }

    /// Which rules.
    pub struct DeleteAclsFilter {
        /// 0 unknown, 1 any, 2 a topic, 3 a group, 4 the cluster, 5 a transactional id.
        resource_type_filter: i8,
        resource_name_filter: Option<String>,
        /// 1 any, 2 what matches, 3 literal, 4 prefixed.
        pattern_type_filter: i8 = 3,
        principal_filter: Option<String>,
        host_filter: Option<String>,
        operation: i8,
        permission_type: i8,
    }
}

message! {
    DeleteAcls:
    /// The outcomes, in the request's order.
    pub struct DeleteAclsResponse {
        throttle_time_ms: i32,
        filter_results: Vec<DeleteAclsFilterResult>,
    }

    /// The rules that one filter deleted.
    pub struct DeleteAclsFilterResult {
        error_code: i16,
        error_message: Option<String>,
        matching_acls: Vec<DeleteAclsMatchingAcl>,
    }

    /// A rule that was to be deleted.
    pub struct DeleteAclsMatchingAcl {
        error_code: i16,
        error_message: Option<String>,
        resource_type: i8,
        resource_name: String,
        pattern_type: i8 = 3,
        principal: String,
        host: String,
        operation: i8,
        permission_type: i8,
    }
}
