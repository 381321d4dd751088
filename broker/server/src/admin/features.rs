//! Features of the cluster (KIP-584).

use thiserror::Error;

/// A feature with its supported levels.
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    pub(crate) min: i16,
    pub(crate) max: i16,
}

/// `metadata.version` 25 is Kafka 4.0's. Clients use the older transaction protocol below
/// `transaction.version` 2, and classic groups below `group.version` 1.
pub(crate) const FEATURES: &[Feature] = &[
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
pub(crate) const FEATURES_EPOCH: i64 = 0;

/// A feature level that is not supported.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum FeatureError {
    /// The feature does not exist.
    #[error("The feature {0} is not supported.")]
    Unknown(String),
    /// The level is outside the supported ones.
    #[error("Level {level} of feature {name} is not supported; expected {min} to {max}.")]
    Level {
        /// The feature.
        name: &'static str,
        /// The requested level.
        level: i16,
        /// The minimum supported level.
        min: i16,
        /// The maximum supported level.
        max: i16,
    },
}

/// Checks a change of a feature's level. Every feature has one supported level, so a valid change
/// has no effect.
///
/// # Errors
/// If the feature or the level is not supported.
pub(crate) fn check_update(name: &str, level: i16) -> Result<(), FeatureError> {
    let feature = FEATURES.iter().find(|feature| feature.name == name);
    let &Feature { name, min, max } =
        feature.ok_or_else(|| FeatureError::Unknown(name.to_owned()))?;
    if (min..=max).contains(&level) {
        Ok(())
    } else {
        Err(FeatureError::Level {
            name,
            level,
            min,
            max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Conformance: broker/admin-22
    #[test]
    fn only_supported_feature_levels_are_valid() {
        for (name, level, is_valid) in [
            ("metadata.version", 25, true),
            ("metadata.version", 26, false),
            ("metadata.version", 0, false),
            ("transaction.version", 0, true),
            ("transaction.version", 2, false),
            ("kraft.version", 1, false),
        ] {
            assert_eq!(
                check_update(name, level).is_ok(),
                is_valid,
                "{name} {level}"
            );
        }
    }
}
