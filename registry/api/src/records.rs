//! Records of Confluent's topic `_schemas`, the format of exports and imports. A record without a
//! value deletes its key. The attributes of a key are in Confluent's order, because the topic is
//! compacted by the bytes of the keys.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rest::{ConfigProperties, Metadata, RuleSet, SchemaReference};
use crate::types::{CompatibilityLevel, Mode, SchemaId, SchemaType, Version};

/// A record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Record {
    /// The key.
    pub key: RecordKey,
    /// The value, by the kind of the key; `null` deletes the key.
    #[serde(default)]
    pub value: Value,
}

/// The key of a record. A setting without a subject applies to the whole registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
// serde writes the tag first and the fields in the order below, which must not change: keys are
// compared by their bytes.
#[serde(tag = "keytype", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RecordKey {
    /// A version; the value is a `SchemaValue`.
    Schema {
        /// The subject.
        subject: String,
        /// The version.
        version: Version,
        /// Always 1.
        magic: i32,
    },
    /// A configuration; the value is a `ConfigValue`.
    Config {
        /// The subject.
        subject: Option<String>,
        /// Always 0.
        magic: i32,
    },
    /// A mode; the value is a `ModeValue`.
    Mode {
        /// The subject.
        subject: Option<String>,
        /// Always 0.
        magic: i32,
    },
    /// A soft delete of all versions up to one; the value is a `DeleteSubjectValue`.
    DeleteSubject {
        /// The subject.
        subject: String,
        /// Always 0.
        magic: i32,
    },
    /// An instruction to clear caches, without effect.
    ClearSubject {
        /// The subject.
        subject: Option<String>,
        /// Always 0.
        magic: i32,
    },
    /// A context; one with subjects exists without this record. The value is a [`ContextValue`].
    Context {
        /// The tenant.
        tenant: Option<String>,
        /// The context.
        context: Option<String>,
        /// Always 0.
        magic: i32,
    },
    /// A barrier without effect.
    Noop {
        /// Always 0.
        magic: i32,
    },
}

/// A version with its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaValue {
    /// The subject.
    pub subject: String,
    /// The version.
    pub version: Version,
    /// The schema id.
    pub id: SchemaId,
    /// The schema type; absent means Avro.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_type: Option<SchemaType>,
    /// References to named types of other subjects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<Vec<SchemaReference>>,
    /// The metadata.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// The rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<RuleSet>,
    /// The schema text.
    pub schema: String,
    /// True if the version is soft-deleted.
    #[serde(default)]
    pub deleted: bool,
    /// Registration time, in milliseconds since 1970; absent in records of older registries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<i64>,
}

/// A configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConfigValue {
    /// The subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The compatibility level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_level: Option<CompatibilityLevel>,
    /// The other properties.
    #[serde(flatten)]
    pub properties: ConfigProperties,
}

/// A mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeValue {
    /// The subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The mode.
    pub mode: Mode,
}

/// A context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContextValue {
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The highest id that the context ever assigned. Confluent's registry ignores it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_id: Option<SchemaId>,
}

/// The extent of a subject's soft delete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteSubjectValue {
    /// The subject.
    pub subject: String,
    /// The last deleted version.
    pub version: Version,
}

/// Records to import, in the order of the topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportRequest {
    /// The records.
    pub records: Vec<Record>,
}

/// The result of an import.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportBody {
    /// Number of applied records, with or without an effect.
    pub imported: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys byte for byte as Confluent writes them.
    // Conformance: registry/rule-15
    #[test]
    fn keys_keep_the_order_of_attributes() {
        let keys = [
            r#"{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}"#,
            r#"{"keytype":"CONFIG","subject":null,"magic":0}"#,
            r#"{"keytype":"MODE","subject":"s","magic":0}"#,
            r#"{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}"#,
            r#"{"keytype":"CLEAR_SUBJECT","subject":"s","magic":0}"#,
            r#"{"keytype":"CONTEXT","tenant":"default","context":".c","magic":0}"#,
            r#"{"keytype":"NOOP","magic":0}"#,
        ];
        for key in keys {
            let parsed: RecordKey = serde_json::from_str(key).unwrap();
            assert_eq!(serde_json::to_string(&parsed).unwrap(), key);
        }
    }
}
