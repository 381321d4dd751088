//! The records of Confluent's topic `_schemas`, in which a registry's content moves from one to
//! another: one key of each kind, its value, and nothing for what is gone. The order of a key's
//! attributes is Confluent's, because its topic is compacted by the key's bytes.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::rest::{ConfigProperties, Metadata, RuleSet, SchemaReference};
use crate::types::{CompatibilityLevel, Mode, SchemaId, SchemaType, Version};

/// One record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Record {
    /// What it is about.
    pub key: RecordKey,
    /// What is so from now on, by the key's kind; `null` when the key's matter is gone.
    #[serde(default)]
    pub value: Value,
}

/// What a record is about. No subject stands for the whole registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "keytype", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RecordKey {
    /// A version; the value is a `SchemaValue`.
    Schema {
        /// Its subject.
        subject: String,
        /// The version.
        version: Version,
        /// Always 1.
        magic: i32,
    },
    /// A configuration; the value is a `ConfigValue`.
    Config {
        /// Its subject.
        subject: Option<String>,
        /// Always 0.
        magic: i32,
    },
    /// A mode; the value is a `ModeValue`.
    Mode {
        /// Its subject.
        subject: Option<String>,
        /// Always 0.
        magic: i32,
    },
    /// A soft delete of all versions so far; the value is a `DeleteSubjectValue`.
    DeleteSubject {
        /// The subject.
        subject: String,
        /// Always 0.
        magic: i32,
    },
    /// Caches are emptied; nothing changes.
    ClearSubject {
        /// The subject.
        subject: Option<String>,
        /// Always 0.
        magic: i32,
    },
    /// A context exists; it also exists by its subjects. The value is a [`ContextValue`].
    Context {
        /// The tenant.
        tenant: Option<String>,
        /// The context.
        context: Option<String>,
        /// Always 0.
        magic: i32,
    },
    /// A barrier; nothing changes.
    Noop {
        /// Always 0.
        magic: i32,
    },
}

/// A version with its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaValue {
    /// Its subject.
    pub subject: String,
    /// The version.
    pub version: Version,
    /// The schema id.
    pub id: SchemaId,
    /// Absent means Avro.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_type: Option<SchemaType>,
    /// Named types of other subjects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<Vec<SchemaReference>>,
    /// See [`Metadata`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// See [`RuleSet`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<RuleSet>,
    /// The text.
    pub schema: String,
    /// Whether it is soft-deleted.
    #[serde(default)]
    pub deleted: bool,
    /// When it was registered, in milliseconds since 1970; older registries did not note it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts: Option<i64>,
}

/// A configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ConfigValue {
    /// Its subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_level: Option<CompatibilityLevel>,
    /// Everything else.
    #[serde(flatten)]
    pub properties: ConfigProperties,
}

/// A mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeValue {
    /// Its subject.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The mode.
    pub mode: Mode,
}

/// A context.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContextValue {
    /// Its tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The highest id that it gave out, whatever became of it. Only Avouch notes it; Confluent's
    /// registry reads past it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_id: Option<SchemaId>,
}

/// How far a subject's soft delete goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteSubjectValue {
    /// The subject.
    pub subject: String,
    /// The last version that it deletes.
    pub version: Version,
}

/// The body of an import: records in the order of the topic.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportRequest {
    /// The records.
    pub records: Vec<Record>,
}

/// What an import did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ImportBody {
    /// Records that changed something or said what was so already.
    pub imported: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys byte for byte as Confluent writes them.
    // Conformance: registry/rule-15
    #[test]
    fn keys_are_written_as_compaction_needs_them() {
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
