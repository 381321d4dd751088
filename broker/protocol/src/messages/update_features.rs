//! UpdateFeatures: changes the finalized levels of features (KIP-584).

use crate::message::message;

message! {
    UpdateFeatures:
    /// The changes.
    pub struct UpdateFeaturesRequest {
        timeout_ms: i32 = 60000,
        feature_updates: Vec<FeatureUpdateKey>,
        validate_only: bool [1..],
    }

    /// The change of a feature.
    pub struct FeatureUpdateKey {
        feature: String,
        /// The level; below 1 disables the feature.
        max_version_level: i16,
        allow_downgrade: bool [..=0],
        /// 1 upgrade, 2 safe downgrade, 3 unsafe downgrade.
        upgrade_type: i8 [1..] = 1,
    }
}

message! {
    UpdateFeatures:
    /// The results.
    pub struct UpdateFeaturesResponse {
        throttle_time_ms: i32,
        error_code: i16,
        error_message: Option<String>,
        results: Vec<UpdatableFeatureResult> [..=1, ignorable],
    }

    /// The result of a feature.
    pub struct UpdatableFeatureResult {
        feature: String,
        error_code: i16,
        error_message: Option<String>,
    }
}
