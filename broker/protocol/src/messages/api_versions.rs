//! ApiVersions: the APIs and versions of a broker. A request of an unsupported version receives a
//! response of version 0 (KIP-511).

use crate::message::message;

// Versions 1 and 2 equal 0. Version 4 can report a feature with minimum version 0, which
// older Java clients reject (KAFKA-17011).
message! {
    ApiVersions:
    /// The name and version of the client library, and the broker that it expects (KIP-1242).
    pub struct ApiVersionsRequest {
        client_software_name: String [3.., ignorable],
        client_software_version: String [3.., ignorable],
        /// Null if unknown; only together with `node_id`.
        cluster_id: Option<String> [5.., ignorable] = None,
        /// -1 if unknown.
        node_id: i32 [5.., ignorable] = -1,
    }
}

message! {
    ApiVersions:
    /// The APIs, their versions, and the cluster's features (KIP-584).
    pub struct ApiVersionsResponse {
        error_code: i16,
        api_keys: Vec<ApiVersion>,
        throttle_time_ms: i32 [1.., ignorable],
        supported_features: Vec<SupportedFeatureKey> [3.., tag 0, ignorable],
        /// -1 when unknown.
        finalized_features_epoch: i64 [3.., tag 1, ignorable] = -1,
        finalized_features: Vec<FinalizedFeatureKey> [3.., tag 2, ignorable],
        zk_migration_ready: bool [3.., tag 3, ignorable],
    }

    /// The versions of one API.
    pub struct ApiVersion {
        api_key: i16,
        min_version: i16,
        max_version: i16,
    }

    /// A feature that the broker supports.
    pub struct SupportedFeatureKey {
        name: String,
        min_version: i16,
        max_version: i16,
    }

    /// A feature that is enabled in the cluster.
    pub struct FinalizedFeatureKey {
        name: String,
        max_version_level: i16,
        min_version_level: i16,
    }
}
