//! Results of compatibility checks and of lookups that found nothing.

use serde::{Deserialize, Serialize};

use crate::types::{CompatibilityLevel, SchemaId, Version};

/// The result of a compatibility check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CompatibilityBody {
    /// True if the schema is compatible with the versions that were checked.
    pub is_compatible: bool,
    /// A message for each incompatibility, if the request is verbose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<String>>,
    /// Structured incompatibilities, if requested with `explain`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<FindingBody>>,
}

/// An incompatibility between a schema and an earlier version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct FindingBody {
    /// Confluent's name of the kind, such as `READER_FIELD_MISSING_DEFAULT_VALUE`.
    pub kind: String,
    /// The earlier version.
    pub version: Version,
    /// `BACKWARD` if the new schema cannot read data of the earlier version, `FORWARD` if the
    /// earlier version cannot read data of the new schema.
    pub direction: CompatibilityLevel,
    /// Details, such as the field name.
    pub info: String,
    /// A change that removes the incompatibility.
    pub suggestion: String,
    /// The position in the requested schema.
    pub new: PlaceBody,
    /// The position in the earlier version.
    pub old: PlaceBody,
}

/// A position in a schema text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlaceBody {
    /// The path by names, such as `/items[]/price`.
    pub path: String,
    /// Index of the first byte, in the text as sent or, for an earlier version, as stored.
    pub start: usize,
    /// Index after the last byte.
    pub end: usize,
}

/// The version closest to a schema that was not found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClosestBody {
    /// The subject.
    pub subject: String,
    /// The version.
    pub version: Version,
    /// The schema id.
    pub id: SchemaId,
    /// The differences to the requested schema, one sentence each.
    pub differences: Vec<String>,
}
