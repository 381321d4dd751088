//! ApiVersions (key 18), versions 0 to 5.
//!
//! Behavior:
//! * Returns every API of `avouch_protocol::api` with its versions, and the features of the
//!   cluster.
//! * Produce is advertised from version 0, although 0 to 2 are rejected: librdkafka before 2.11
//!   does not compress otherwise (KAFKA-18659).
//!
//! Version notes:
//! * A version that is not supported gets a response of version 0 with UNSUPPORTED_VERSION and the
//!   supported versions (KIP-511).
//! * Version 5 has the cluster id and node id that the client expects. If they are not this
//!   broker's, it returns REBOOTSTRAP_REQUIRED (KIP-1242).

use std::sync::Arc;

use avouch_protocol::api::ApiKey;
use avouch_protocol::error_code::ErrorCode;
use avouch_protocol::messages::api_versions::{
    ApiVersion, ApiVersionsRequest, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};

use super::{Call, HandlerFuture, encode_at};
use crate::admin::Admin;
use crate::admin::features::{FEATURES, FEATURES_EPOCH};
use crate::error::{KafkaError as _, RequestError};
use crate::node::Node;

pub(super) async fn handle(
    admin: Arc<Admin>,
    call: Call,
    request: ApiVersionsRequest,
) -> ApiVersionsResponse {
    let cluster_id = admin.metadata.cluster_id();
    match check(&request, call.version(), cluster_id, admin.config.node_id) {
        Ok(()) => ApiVersionsResponse {
            supported_features: supported(call.version()),
            finalized_features: finalized(),
            finalized_features_epoch: FEATURES_EPOCH,
            ..supported_versions(ErrorCode::None)
        },
        Err(error) => ApiVersionsResponse {
            error_code: error.error_code().code(),
            ..Default::default()
        },
    }
}

fn check(
    request: &ApiVersionsRequest,
    version: i16,
    cluster_id: &str,
    node_id: i32,
) -> Result<(), RequestError> {
    const UNKNOWN_NODE: i32 = -1;
    // The fields exist from version 3.
    let is_valid = |name: &str| version < 3 || is_software_name(name);
    if !is_valid(&request.client_software_name) || !is_valid(&request.client_software_version) {
        return Err(RequestError::InvalidClientSoftware);
    }
    match (request.cluster_id.as_deref(), request.node_id) {
        (None, UNKNOWN_NODE) => Ok(()),
        (None, _) | (Some(_), UNKNOWN_NODE) => Err(RequestError::IncompleteBrokerIdentity),
        (Some(cluster), node) if cluster == cluster_id && node == node_id => Ok(()),
        // The client then looks its cluster up again at the bootstrap servers.
        (Some(_), _) => Err(RequestError::OtherBroker),
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
        assert_eq!((produce.min_version, produce.max_version), (0, 13));
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

    // Conformance: broker/fetch-15
    #[test]
    fn expected_broker_must_match() {
        let check = |cluster_id: Option<&str>, node_id| {
            let request = ApiVersionsRequest {
                client_software_name: "client".to_owned(),
                client_software_version: "1".to_owned(),
                cluster_id: cluster_id.map(str::to_owned),
                node_id,
            };
            check(&request, 5, "this", 1)
        };
        for (cluster_id, node_id, expected) in [
            (None, -1, Ok(())),
            (Some("this"), 1, Ok(())),
            (Some("this"), 2, Err(RequestError::OtherBroker)),
            (Some("other"), 1, Err(RequestError::OtherBroker)),
            (
                Some("this"),
                -1,
                Err(RequestError::IncompleteBrokerIdentity),
            ),
            (None, 1, Err(RequestError::IncompleteBrokerIdentity)),
        ] {
            assert_eq!(
                check(cluster_id, node_id),
                expected,
                "{cluster_id:?} {node_id}"
            );
        }
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
