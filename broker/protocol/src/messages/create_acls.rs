//! CreateAcls: say who may do what.

use crate::message::message;

message! {
    CreateAcls:
    /// The rules to make.
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
    /// The outcomes, in the request's order.
    pub struct CreateAclsResponse {
        throttle_time_ms: i32,
        results: Vec<AclCreationResult>,
    }

    /// The outcome for one rule.
    pub struct AclCreationResult {
        error_code: i16,
        error_message: Option<String>,
    }
}
