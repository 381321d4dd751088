//! DescribeAcls: returns access control rules.

use crate::message::message;

// Version 3 allows the resource type user (KIP-373).
message! {
    DescribeAcls:
    /// A filter of rules; null matches everything.
    pub struct DescribeAclsRequest {
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
    DescribeAcls:
    /// The rules found.
    pub struct DescribeAclsResponse {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<String>,
        resources: Vec<DescribeAclsResource>,
    }

    /// Rules for one resource.
    pub struct DescribeAclsResource {
        resource_type: i8,
        resource_name: String,
        pattern_type: i8 = 3,
        acls: Vec<AclDescription>,
    }

    /// One rule.
    pub struct AclDescription {
        principal: String,
        host: String,
        operation: i8,
        permission_type: i8,
    }
}
