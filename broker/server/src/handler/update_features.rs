//! UpdateFeatures (key 57), versions 0 to 2 (KIP-584).
//!
//! Behavior:
//! * Every feature has one supported level. An update to it succeeds and changes nothing; others
//!   get INVALID_UPDATE_VERSION.
//!
//! Version notes:
//! * Version 2 has one error for the request instead of one for each feature (KIP-1022).

use std::sync::Arc;

use avouch_protocol::messages::update_features::{
    UpdatableFeatureResult, UpdateFeaturesRequest, UpdateFeaturesResponse,
};

use super::Call;
use crate::admin::Admin;
use crate::admin::features::check_update;
use crate::error::code_and_message;

pub(super) async fn handle(
    _admin: Arc<Admin>,
    call: Call,
    request: UpdateFeaturesRequest,
) -> UpdateFeaturesResponse {
    let updates = request.feature_updates.into_iter();
    let results = updates.map(|update| {
        let checked = check_update(&update.feature, update.max_version_level);
        let (error_code, error_message) = code_and_message(&checked);
        UpdatableFeatureResult {
            feature: update.feature,
            error_code,
            error_message,
        }
    });
    let results: Vec<_> = results.collect();
    if call.version() < 2 {
        return UpdateFeaturesResponse {
            results,
            ..Default::default()
        };
    }
    let failed = results.into_iter().find(|result| result.error_code != 0);
    let failed = failed.unwrap_or_default();
    UpdateFeaturesResponse {
        error_code: failed.error_code,
        error_message: failed.error_message,
        ..Default::default()
    }
}
