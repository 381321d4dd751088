//! DescribeUserScramCredentials: returns the mechanisms of users' SCRAM credentials (KIP-554).

use crate::message::message;

message! {
    DescribeUserScramCredentials:
    /// The users; null or empty for all.
    pub struct DescribeUserScramCredentialsRequest {
        users: Option<Vec<UserName>>,
    }

    /// A user.
    pub struct UserName {
        name: String,
    }
}

message! {
    DescribeUserScramCredentials:
    /// The credentials.
    pub struct DescribeUserScramCredentialsResponse {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<String>,
        results: Vec<DescribeUserScramCredentialsResult>,
    }

    /// The credentials of a user.
    pub struct DescribeUserScramCredentialsResult {
        user: String,
        error_code: i16,
        error_message: Option<String>,
        credential_infos: Vec<CredentialInfo>,
    }

    /// A credential, without secrets.
    pub struct CredentialInfo {
        mechanism: i8,
        iterations: i32,
    }
}
