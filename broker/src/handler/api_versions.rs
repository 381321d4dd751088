//! ApiVersions (key 18), versions 0 to 4.
//!
//! Answers the served APIs with their versions. A version too high is answered, not closed on: body
//! version 0, error 35 and the versions we do speak (KIP-511). Produce is advertised from 0, though
//! 0 to 2 are refused: librdkafka before 2.11 otherwise stops compressing (KAFKA-18659).

use std::sync::Arc;

use super::{Call, Reply, SERVED, encode_at};
use crate::server::Node;
use crate::wire::error_code::ErrorCode;
use crate::wire::messages::api_versions::{ApiVersion, ApiVersionsRequest, ApiVersionsResponse};

pub(super) async fn handle(
    _node: Arc<Node>,
    call: Call,
    request: ApiVersionsRequest,
) -> ApiVersionsResponse {
    let named = |text: &str| call.version() < 3 || is_software_word(text);
    if named(&request.client_software_name) && named(&request.client_software_version) {
        served(ErrorCode::None)
    } else {
        ApiVersionsResponse {
            error_code: ErrorCode::InvalidRequest.code(),
            ..Default::default()
        }
    }
}

/// The answer to a version that is not served.
pub(super) fn unsupported(call: Call) -> Reply {
    Box::pin(async move { encode_at(&call, &served(ErrorCode::UnsupportedVersion), 0).map(Some) })
}

fn served(error: ErrorCode) -> ApiVersionsResponse {
    let api_keys = SERVED.iter().map(|api| {
        let versions = api.advertised_versions();
        ApiVersion {
            api_key: api.code(),
            min_version: *versions.start(),
            max_version: *versions.end(),
        }
    });
    ApiVersionsResponse {
        error_code: error.code(),
        api_keys: api_keys.collect(),
        ..Default::default()
    }
}

/// KIP-511: letters and digits, with dots and dashes between them.
fn is_software_word(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn produce_is_advertised_from_zero_and_nothing_twice() {
        let keys = served(ErrorCode::None).api_keys;
        let produce = keys.iter().find(|key| key.api_key == 0).unwrap();
        assert_eq!((produce.min_version, produce.max_version), (0, 12));
        assert!(keys.is_sorted_by(|a, b| a.api_key < b.api_key));
    }

    #[test]
    fn software_words_follow_kip_511() {
        for good in ["a", "librdkafka", "2.0.2", "apache-kafka-java"] {
            assert!(is_software_word(good), "{good}");
        }
        for bad in ["", "-a", "a.", "a b", "ä"] {
            assert!(!is_software_word(bad), "{bad}");
        }
    }
}
