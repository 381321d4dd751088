//! DescribeUserScramCredentials (key 50), version 0 (KIP-554).
//!
//! Behavior:
//! * No user has credentials: a request for all users returns none, one for a user
//!   RESOURCE_NOT_FOUND.

use std::sync::Arc;

use avouch_protocol::messages::describe_user_scram_credentials::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
    DescribeUserScramCredentialsResult,
};

use super::{Call, duplicates};
use crate::admin::Admin;
use crate::error::{KafkaError as _, RequestError};

pub(super) async fn handle(
    _admin: Arc<Admin>,
    _call: Call,
    request: DescribeUserScramCredentialsRequest,
) -> DescribeUserScramCredentialsResponse {
    let users = request.users.unwrap_or_default();
    let mut names: Vec<String> = users.into_iter().map(|user| user.name).collect();
    let twice = duplicates(names.iter().cloned());
    names.sort();
    names.dedup();
    let results = names.into_iter().map(|user| {
        let error = if twice.contains(&user) {
            RequestError::DuplicateScramUser(user.clone())
        } else {
            RequestError::UnknownScramUser(user.clone())
        };
        DescribeUserScramCredentialsResult {
            user,
            error_code: error.error_code().code(),
            error_message: Some(error.to_string()),
            ..Default::default()
        }
    });
    DescribeUserScramCredentialsResponse {
        results: results.collect(),
        ..Default::default()
    }
}
