//! Configurations and modes.

use serde::{Deserialize, Serialize};

use super::{Metadata, RuleSet};
use crate::types::{CompatibilityLevel, CompatibilityPolicy, Mode};

/// A configuration with its effective compatibility level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConfigBody {
    /// The effective compatibility level.
    pub compatibility_level: CompatibilityLevel,
    /// The other properties.
    #[serde(flatten)]
    pub properties: ConfigProperties,
}

/// A configuration as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct StoredConfigBody {
    /// The compatibility level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility: Option<CompatibilityLevel>,
    /// The other properties.
    #[serde(flatten)]
    pub properties: ConfigProperties,
}

/// The properties of a configuration except its compatibility level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct ConfigProperties {
    /// The subject that requests for this subject apply to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The alias in a registry of encryption keys; stored without effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias_for_deks: Option<String>,
    /// True to normalize all schemas, also without a request for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    /// True to reject schemas with reserved fields of the metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_fields: Option<bool>,
    /// False to accept new schemas with invalid names or defaults. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_new_schemas: Option<bool>,
    /// Stored without effect: clients run the rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_rules: Option<bool>,
    /// Stored without effect: Avro schemas are always compared strictly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_policy: Option<CompatibilityPolicy>,
    /// A metadata property; only versions with the same value of it are compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_group: Option<String>,
    /// Metadata of new versions, unless a registration sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_metadata: Option<Metadata>,
    /// Metadata of new versions that overrides that of a registration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_metadata: Option<Metadata>,
    /// Rules of new versions, unless a registration sets them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_rule_set: Option<RuleSet>,
    /// Rules of new versions that override those of a registration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_rule_set: Option<RuleSet>,
}

/// A mode; absent after it was cleared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModeBody {
    /// The mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}
