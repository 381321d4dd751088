//! ApiVersions (key 18), versions 0 to 4.
//!
//! Behavior:
//! * Returns every API of `avouch_protocol::api` with its versions, and the features of the cluster.
//! * Produce is advertised from version 0, although 0 to 2 are rejected: librdkafka before 2.11 does
//!   not compress otherwise (KAFKA-18659).
//!
//! Version notes:
//! * A version that is not supported gets a response of version 0 with UNSUPPORTED_VERSION and the
//!   supported versions (KIP-511).

use std::sync::Arc;

use avouch_protocol::api::ApiKey;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};

use super::{Call, HandlerFuture, encode_at};
use crate::error::{KafkaError as _, RequestError};
use crate::node::Node;

/// A feature (KIP-584) with its supported levels.
struct Feature {
    name: &'static str,
    min: i16,
    max: i16,
}

/// `metadata.version` 25 is Kafka 4.0's. Clients use the older transaction protocol below
/// `transaction.version` 2, and classic groups below `group.version` 1.
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

/// The epoch of the finalized features, which never change while a broker runs.
const FEATURES_EPOCH: i64 = 0;

pub(super) async fn handle(
    _node: Arc<Node>,
    call: Call,
    request: ApiVersionsRequest,
) -> ApiVersionsResponse {
    // The fields exist from version 3.
    let is_valid = |name: &str| call.version() < 3 || is_software_name(name);
    if !is_valid(&request.client_software_name) || !is_valid(&request.client_software_version) {
        return ApiVersionsResponse {
            error_code: RequestError::InvalidClientSoftware.error_code().code(),
            ..Default::default()
        };
    }
    ApiVersionsResponse {
        supported_features: supported(call.version()),
        finalized_features: finalized(),
        finalized_features_epoch: FEATURES_EPOCH,
        ..supported_versions(ErrorCode::None)
    }
}

/// Returns the response to a version that is not supported.
pub(super) fn unsupported(node: Arc<Node>, call: Call) -> HandlerFuture {
    let response = supported_versions(ErrorCode::UnsupportedVersion);
    // Version 0: the only one that a client of an unknown newer version can parse.
    Box::pin(async move { encode_at(&node, &call, &response, 0).map(Some) })
}

fn supported_versions(error: ErrorCode) -> ApiVersionsResponse {
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

/// Returns the supported features. Clients of version 3 reject a feature whose minimum level is 0,
/// so only version 4 has these (KIP-1022).
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

/// Returns the finalized features. A feature at level 0 is disabled and not listed.
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

/// Returns whether a name follows KIP-511: letters and digits, with dots and dashes between them.
fn is_software_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn produce_is_advertised_from_version_zero() {
        let keys = supported_versions(ErrorCode::None).api_keys;
        let produce = keys.iter().find(|key| key.api_key == 0).unwrap();
        assert_eq!((produce.min_version, produce.max_version), (0, 12));
        assert!(keys.is_sorted_by(|a, b| a.api_key < b.api_key));
    }

    // Conformance: broker/admin-16
    #[test]
    fn features_from_level_zero_need_version_4() {
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
    fn software_names_follow_kip_511() {
        for good in ["a", "librdkafka", "2.0.2", "apache-kafka-java"] {
            assert!(is_software_name(good), "{good}");
        }
        for bad in ["", "-a", "a.", "a b", "ä"] {
            assert!(!is_software_name(bad), "{bad}");
        }
    }
}
