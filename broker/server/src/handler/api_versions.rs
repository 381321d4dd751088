//! ApiVersions (key 18), versions 0 to 4.
//!
//! Answers every API of `wire::api` with its versions, for each is served, and the features of the
//! cluster. A version too high is answered, not closed on: body
//! version 0, error 35 and the versions we do speak (KIP-511). Produce is advertised from 0, though
//! 0 to 2 are refused: librdkafka before 2.11 otherwise stops compressing (KAFKA-18659).

use std::sync::Arc;

use avouch_protocol::api::ApiKey;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};

use super::{Call, Reply, encode_at};
use crate::node::Node;

/// A feature in Kafka's sense (KIP-584) with the levels it may have here.
struct Feature {
    name: &'static str,
    min: i16,
    max: i16,
}

/// `metadata.version` 25 is Kafka 4.0's. Without `transaction.version` 2, clients do transactions
/// the older way; without `group.version` 1 there are classic groups only.
const FEATURES: &[Feature] = &[
    Feature {
        name: "group.version",
        min: 0,
        max: 0,
    },
    Feature {
        name: "metadata.version",
        min: 25,
        max: 25,
    },
    Feature {
        name: "transaction.version",
        min: 0,
        max: 0,
    },
];

/// Features never change while a broker runs.
const FEATURES_EPOCH: i64 = 0;

pub(super) async fn handle(
    _node: Arc<Node>,
    call: Call,
    request: ApiVersionsRequest,
) -> ApiVersionsResponse {
    let named = |text: &str| call.version() < 3 || is_software_word(text);
    if named(&request.client_software_name) && named(&request.client_software_version) {
        ApiVersionsResponse {
            supported_features: supported(call.version()),
            finalized_features: finalized(),
            finalized_features_epoch: FEATURES_EPOCH,
            ..served(ErrorCode::None)
        }
    } else {
        ApiVersionsResponse {
            error_code: ErrorCode::InvalidRequest.code(),
            ..Default::default()
        }
    }
}

/// The answer to a version that is not served.
pub(super) fn unsupported(node: Arc<Node>, call: Call) -> Reply {
    let response = served(ErrorCode::UnsupportedVersion);
    Box::pin(async move { encode_at(&node, &call, &response, 0).map(Some) })
}

fn served(error: ErrorCode) -> ApiVersionsResponse {
    let api_keys = ApiKey::ALL.iter().map(|api| {
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

/// The features that the broker could have. Version 3 cannot carry one that starts at 0: its
/// clients refuse it (KIP-1022).
fn supported(version: i16) -> Vec<SupportedFeatureKey> {
    let features = FEATURES
        .iter()
        .filter(|feature| version >= 4 || feature.min > 0);
    features
        .map(|feature| SupportedFeatureKey {
            name: feature.name.to_owned(),
            min_version: feature.min,
            max_version: feature.max,
        })
        .collect()
}

/// The features that the cluster has. One at level 0 is not had.
fn finalized() -> Vec<FinalizedFeatureKey> {
    let features = FEATURES.iter().filter(|feature| feature.max > 0);
    features
        .map(|feature| FinalizedFeatureKey {
            name: feature.name.to_owned(),
            max_version_level: feature.max,
            min_version_level: feature.max,
        })
        .collect()
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

    // Conformance: broker/admin-16
    #[test]
    fn features_that_start_at_zero_are_told_from_version_4_on() {
        let names = |version| supported(version).into_iter().map(|feature| feature.name);
        assert_eq!(names(3).collect::<Vec<_>>(), ["metadata.version"]);
        assert_eq!(names(4).len(), 3);
        assert_eq!(
            finalized().len(),
            1,
            "neither transactions v2 nor new groups"
        );
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
