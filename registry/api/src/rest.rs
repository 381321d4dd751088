//! The bodies of the REST contract. Absent and empty are left out when written; unknown properties
//! are ignored when read. Property names and their order are Confluent Schema Registry's.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::vocabulary::{CompatibilityLevel, Mode, SchemaType};

/// The content type of every answer, unless the client accepts only a broader one.
pub const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A named type that lives in another subject's version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaReference {
    /// The name by which the referring schema calls it.
    pub name: String,
    /// Where it is registered.
    pub subject: String,
    /// 1 and up; -1 asks for the latest and is never stored.
    pub version: i32,
}

/// A reference as a request brings it: nothing in it can be relied upon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReferenceRequest {
    /// See [`SchemaReference::name`].
    pub name: Option<String>,
    /// See [`SchemaReference::subject`].
    pub subject: Option<String>,
    /// See [`SchemaReference::version`].
    pub version: Option<i32>,
}

/// What an owner notes about a schema; part of its identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Path into the schema to its tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeMap<String, BTreeSet<String>>>,
    /// Free key and value pairs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<BTreeMap<String, String>>,
    /// Keys of the properties that must not be logged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensitive: Option<BTreeSet<String>>,
}

/// Rules that clients apply; kept and returned, never run here. Part of a schema's identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RuleSet {
    /// Rules between versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migration_rules: Option<Vec<Rule>>,
    /// Rules on values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain_rules: Option<Vec<Rule>>,
    /// Rules on bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encoding_rules: Option<Vec<Rule>>,
    /// When they come into force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_at: Option<String>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rule {
    /// Its name, unique in its list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doc: Option<String>,
    /// `TRANSFORM` or `CONDITION`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `UPGRADE`, `DOWNGRADE`, `UPDOWN`, `WRITE`, `READ` or `WRITEREAD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The executor, such as `CEL`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub rule_type: Option<String>,
    /// The tags it applies to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<BTreeSet<String>>,
    /// The executor's parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<BTreeMap<String, String>>,
    /// The executor's expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expr: Option<String>,
    /// Action on success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_success: Option<String>,
    /// Action on failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    /// Whether it is switched off.
    #[serde(skip_serializing_if = "is_false")]
    pub disabled: bool,
}

/// The body of a registration, a look-up and a compatibility check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RegisterRequest {
    /// The schema's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// `AVRO` when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_type: Option<String>,
    /// Named types of other subjects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<Vec<ReferenceRequest>>,
    /// See [`Metadata`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// See [`RuleSet`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<RuleSet>,
    /// The version it must get; 0 and absent leave that to the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// The id it must get, in mode `IMPORT` only; negative and absent leave that to the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i32>,
}

/// A schema in an answer. Registration leaves out the subject; the look-up by id leaves out the id,
/// and subject and version too unless the request named a subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SchemaBody {
    /// The subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// 1 and up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// 1 and up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i32>,
    /// MD5 of the content, written as a UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// The language; absent means Avro.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_type: Option<SchemaType>,
    /// Named types of other subjects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<SchemaReference>,
    /// See [`Metadata`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// See [`RuleSet`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<RuleSet>,
    /// The stored text.
    pub schema: String,
    /// The highest id given out so far, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_id: Option<i32>,
    /// When the version was registered, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ts: Option<i64>,
    /// Whether the version is soft-deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
}

/// One place where a schema id is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectVersionBody {
    /// The subject.
    pub subject: String,
    /// 1 and up.
    pub version: i32,
}

/// One id that stands for a schema's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextIdBody {
    /// The context whose id it is, `.` for the default one.
    pub context: String,
    /// 1 and up.
    pub id: i32,
}

/// The verdict of a compatibility check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompatibilityBody {
    /// Whether the schema may be registered, as far as the checked versions go.
    pub is_compatible: bool,
    /// Why not; only when the request was verbose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<String>>,
}

/// A configuration as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigBody {
    /// The level in force.
    pub compatibility_level: CompatibilityLevel,
    /// Name of the metadata property whose value separates versions into groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compatibility_group: Option<String>,
    /// Whether schemas are normalized whether or not a request asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
}

/// A configuration as it was stored by an update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct StoredConfigBody {
    /// The level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility: Option<CompatibilityLevel>,
    /// See [`ConfigBody::compatibility_group`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_group: Option<String>,
    /// See [`ConfigBody::normalize`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
}

/// A mode in an answer; absent after one was cleared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeBody {
    /// The mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

/// How far the registry's content has moved (`GET /v1/changes`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangesBody {
    /// Grows with every change; never goes back, not even across restarts.
    pub seq: u64,
}

fn is_false(value: &bool) -> bool {
    !value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_empty_properties_are_not_written() {
        let body = SchemaBody {
            schema: "\"int\"".into(),
            id: Some(1),
            ..SchemaBody::default()
        };
        assert_eq!(
            serde_json::to_string(&body).unwrap(),
            r#"{"id":1,"schema":"\"int\""}"#
        );
    }

    #[test]
    fn unknown_properties_of_a_request_are_ignored() {
        let text = r#"{"schema":"x","propagateSchemaTags":true,"references":null}"#;
        let request: RegisterRequest = serde_json::from_str(text).unwrap();
        assert_eq!(request.schema.as_deref(), Some("x"));
        assert_eq!(request.references, None);
    }
}
