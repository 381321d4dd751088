//! DeleteAcls: deletes access control rules.

use crate::message::message;

// Version 3 allows the resource type user (KIP-373).
message! {
    DeleteAcls:
    /// The rules to delete.
    pub struct DeleteAclsRequest {
        filters: Vec<DeleteAclsFilter>,
    }

    /// A filter of rules; null matches everything.
    pub struct DeleteAclsFilter {
        /// 0 unknown, 1 any, 2 a topic, 3 a group, 4 the cluster, 5 a transactional id.
        resource_type_filter: i8,
        resource_name_filter: Option<String>,
        /// 1 any, 2 patterns that match the name, 3 literal, 4 prefixed.
        pattern_type_filter: i8 = 3,
        principal_filter: Option<String>,
        host_filter: Option<String>,
        operation: i8,
        permission_type: i8,
    }
}

message! {
    DeleteAcls:
    /// The results, in the order of the request.
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

    /// The result for one rule.
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
