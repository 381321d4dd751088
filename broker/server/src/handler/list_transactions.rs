//! ListTransactions (key 66), versions 0 to 2 (KIP-664).
//!
//! Behavior:
//! * Returns no transactions, because they are not supported, and the unknown names of states in
//!   the filter.
//!
//! Version notes:
//! * Version 2 filters by a regular expression (KIP-1152), in RE2's syntax: linear time, without
//!   references and look-around. An invalid one gets INVALID_REGULAR_EXPRESSION.

use std::sync::Arc;

use avouch_protocol::messages::list_transactions::{
    ListTransactionsRequest, ListTransactionsResponse,
};

use regex::RegexBuilder;

use super::Call;
use crate::admin::Admin;
use crate::error::{KafkaError as _, RequestError};

/// Maximum memory of a compiled regular expression, in bytes, which also limits the time to compile
/// it.
const PATTERN_BYTES_MAX: usize = 1 << 20;
/// Kafka's names of the states of transactions.
const STATES: [&str; 8] = [
    "CompleteAbort",
    "CompleteCommit",
    "Dead",
    "Empty",
    "Ongoing",
    "PrepareAbort",
    "PrepareCommit",
    "PrepareEpochFence",
];

pub(super) async fn handle(
    _admin: Arc<Admin>,
    _call: Call,
    request: ListTransactionsRequest,
) -> ListTransactionsResponse {
    if let Some(pattern) = &request.transactional_id_pattern
        && let Err(error) = check_pattern(pattern)
    {
        return ListTransactionsResponse {
            error_code: error.error_code().code(),
            ..Default::default()
        };
    }
    let mut unknown = request.state_filters;
    unknown.retain(|state| !STATES.contains(&state.as_str()));
    ListTransactionsResponse {
        unknown_state_filters: unknown,
        ..Default::default()
    }
}

fn check_pattern(pattern: &str) -> Result<(), RequestError> {
    let compiled = RegexBuilder::new(pattern)
        .size_limit(PATTERN_BYTES_MAX)
        .build();
    match compiled {
        Ok(_) => Ok(()),
        Err(_) => Err(RequestError::InvalidRegularExpression),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: broker/admin-22
    #[test]
    fn patterns_have_re2_syntax() {
        for pattern in [
            "",
            "orders-.*",
            "^(?:a|b)+$",
            r"(?i)x\d{2,3}",
            r"[[:alpha:]]\pL",
        ] {
            assert_eq!(check_pattern(pattern), Ok(()), "{pattern}");
        }
        // The last ones are valid for Java's own regular expressions, but not for RE2.
        for pattern in ["(", "[a", "*a", "a{3,2}", "(?=a)", r"(a)\1"] {
            let invalid = Err(RequestError::InvalidRegularExpression);
            assert_eq!(check_pattern(pattern), invalid, "{pattern}");
        }
        let huge = r"\pL{1000}".repeat(10);
        assert!(check_pattern(&huge).is_err(), "{huge}");
    }
}
