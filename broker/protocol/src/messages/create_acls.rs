//! CreateAcls: creates access control rules.

use crate::message::message;

// Version 3 allows the resource type user (KIP-373).
message! {
    CreateAcls:
    /// The rules to create.
    pub struct CreateAclsRequest {
        creations: Vec<AclCreation>,
    }

    /// One rule.
    pub struct AclCreation {
        resource_type: i8,
        resource_name: String,
        resource_pattern_type: i8 = 3,
        principal: String,
        host: String,
        operation: i8,
        permission_type: i8,
    }
}

message! {
    CreateAcls:
    /// The results, in the order of the request.
    pub struct CreateAclsResponse {
        throttle_time_ms: i32,
        results: Vec<AclCreationResult>,
    }

    /// The result for one rule.
    pub struct AclCreationResult {
        error_code: i16,
        error_message: Option<String>,
    }
}
