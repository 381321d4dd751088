//! Schemas in requests and responses.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};

use crate::types::{SchemaId, SchemaType, Version};

/// A reference to a named type of another subject's version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SchemaReference {
    /// The name that the referring schema uses.
    pub name: String,
    /// The subject of the referenced version.
    pub subject: String,
    /// The referenced version.
    pub version: Version,
}

/// A reference in a request; any property may be missing or out of range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ReferenceRequest {
    /// The name that the referring schema uses.
    pub name: Option<String>,
    /// The subject of the referenced version.
    pub subject: Option<String>,
    /// The referenced version, from 1; -1 selects the latest.
    pub version: Option<i32>,
}

/// Metadata of a schema, part of its identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Metadata {
    /// Tags by the path of the schema element.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub tags: Option<BTreeMap<String, BTreeSet<String>>>,
    /// Key-value pairs without fixed meaning.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub properties: Option<BTreeMap<String, String>>,
    /// Keys of properties that must not be logged.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub sensitive: Option<BTreeSet<String>>,
}

/// Rules of a schema, part of its identity. The registry stores them; clients run them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct RuleSet {
    /// Rules that migrate data between versions.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub migration_rules: Option<Vec<Rule>>,
    /// Rules that apply to values.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub domain_rules: Option<Vec<Rule>>,
    /// Rules that apply to encoded bytes.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub encoding_rules: Option<Vec<Rule>>,
    /// Time from which the rules apply.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub enable_at: Option<String>,
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Rule {
    /// The name, unique within its list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A description.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub doc: Option<String>,
    /// `TRANSFORM` or `CONDITION`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// `UPGRADE`, `DOWNGRADE`, `UPDOWN`, `WRITE`, `READ` or `WRITEREAD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The rule executor, such as `CEL`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub rule_type: Option<String>,
    /// Tags of the elements that the rule applies to.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub tags: Option<BTreeSet<String>>,
    /// Parameters of the executor.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub params: Option<BTreeMap<String, String>>,
    /// The expression that the executor evaluates.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub expr: Option<String>,
    /// The action on success.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub on_success: Option<String>,
    /// The action on failure.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub on_failure: Option<String>,
    /// True if the rule is disabled.
    #[serde(skip_serializing_if = "is_false")]
    pub disabled: bool,
}

/// A schema in a registration, a lookup by content or a compatibility check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct RegisterRequest {
    /// The schema text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The schema type, by default `AVRO`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_type: Option<String>,
    /// References to named types of other subjects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub references: Option<Vec<ReferenceRequest>>,
    /// The metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// The rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<RuleSet>,
    /// The version to register. Without it, or with 0, the registry assigns the version; with -1 it
    /// assigns the next one and writes its number into the metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// The schema id to register, in mode `IMPORT` only. Without it, or with a negative number, the
    /// registry assigns the id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i32>,
    /// Tags to add to the schema text before the registration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_tags_to_add: Option<Vec<SchemaTags>>,
    /// Tags to remove from the schema text before the registration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_tags_to_remove: Option<Vec<SchemaTags>>,
    /// True to add the tags of the subject's latest version too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub propagate_schema_tags: Option<bool>,
}

impl RegisterRequest {
    /// Returns the request for an Avro schema without references.
    #[must_use]
    pub fn avro(schema: impl Into<String>) -> Self {
        Self {
            schema: Some(schema.into()),
            ..Self::default()
        }
    }
}

/// Tags of one element of a schema.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct SchemaTags {
    /// The element.
    pub schema_entity: SchemaEntity,
    /// The tags, in the order of the schema text.
    pub tags: Vec<String>,
}

/// An element of a schema: a record, or a field of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct SchemaEntity {
    /// The full name of the record, for a field followed by a dot and the field name.
    pub entity_path: String,
    /// The kind of element.
    pub entity_type: EntityType,
}

/// The kind of a schema element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EntityType {
    /// A record.
    #[default]
    #[serde(rename = "sr_record")]
    Record,
    /// A field of a record.
    #[serde(rename = "sr_field")]
    Field,
}

/// A change of tags, metadata and rules, which registers a new version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct TagRequest {
    /// The version to register, one more than the latest. Without it, the registry assigns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_version: Option<i32>,
    /// Tags to add to the schema text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags_to_add: Option<Vec<SchemaTags>>,
    /// Tags to remove from the schema text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags_to_remove: Option<Vec<SchemaTags>>,
    /// New metadata of the version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// New rules of the version; excludes `rulesToMerge` and `rulesToRemove`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<RuleSet>,
    /// Rules to add to those of the previous version; a rule of the same name is replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules_to_merge: Option<RuleSet>,
    /// Names of rules to remove.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules_to_remove: Option<Vec<String>>,
}

/// A schema in a response. A registration returns no subject. A lookup by id returns no id, and
/// subject and version only if the request names a subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct SchemaBody {
    /// The subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The version.
    #[serde(deserialize_with = "assigned", skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The id.
    #[serde(deserialize_with = "assigned", skip_serializing_if = "Option::is_none")]
    pub id: Option<SchemaId>,
    /// MD5 of the content in the form of a UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// The schema type; absent means Avro.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_type: Option<SchemaType>,
    /// References to named types of other subjects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<SchemaReference>,
    /// The metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// The rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<RuleSet>,
    /// The schema text.
    pub schema: String,
    /// The tags in the schema text, if the request selects any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schema_tags: Vec<SchemaTags>,
    /// Aliases of the subject, if requested.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The highest id assigned so far, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_id: Option<SchemaId>,
    /// Registration time of the version, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ts: Option<i64>,
    /// True if the version is soft-deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
}

/// A subject version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SubjectVersionBody {
    /// The subject.
    pub subject: String,
    /// The version.
    pub version: Version,
}

/// A schema id and the context in which it is assigned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContextIdBody {
    /// The context; `.` is the default one.
    pub context: String,
    /// The schema id.
    pub id: SchemaId,
}

/// A version without its schema text (`GET /v1/subjects/{subject}/versions`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct VersionBody {
    /// The subject.
    pub subject: String,
    /// The version.
    pub version: Version,
    /// The schema id.
    pub id: SchemaId,
    /// MD5 of the content in the form of a UUID.
    pub guid: String,
    /// The schema type.
    pub schema_type: SchemaType,
    /// True if the version is soft-deleted.
    pub deleted: bool,
    /// Registration time, in milliseconds since 1970.
    pub created_at_ms: i64,
}

/// Reads a number that some registries write as -1 or 0 where none is assigned yet, such as in the
/// response to a dry run.
fn assigned<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i32>,
{
    let number = Option::<i32>::deserialize(deserializer)?;
    // Not an error: the response is complete without the number.
    Ok(number.and_then(|number| T::try_from(number).ok()))
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A value whose empty form means the same as its absence.
trait Blank {
    fn is_blank(&self) -> bool;
}

impl Blank for String {
    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl<T> Blank for Vec<T> {
    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl<T> Blank for BTreeSet<T> {
    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

impl<K, V> Blank for BTreeMap<K, V> {
    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

fn is_blank<T: Blank>(value: &Option<T>) -> bool {
    value.as_ref().is_none_or(Blank::is_blank)
}

/// Deserializes an empty value as an absent one, so that both result in the same content.
fn filled<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Blank + Deserialize<'de>,
{
    // Content is compared by equality and by GUID, and Confluent's clients send either form.
    let value = Option::<T>::deserialize(deserializer)?;
    Ok(value.filter(|value| !value.is_blank()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_empty_properties_are_omitted() {
        let body = SchemaBody {
            schema: "\"int\"".into(),
            id: SchemaId::new(1),
            ..SchemaBody::default()
        };
        assert_eq!(
            serde_json::to_string(&body).unwrap(),
            r#"{"id":1,"schema":"\"int\""}"#
        );
    }

    // Conformance: registry/rest-11
    #[test]
    fn empty_metadata_and_rules_equal_absent_ones() {
        let text = r#"{"tags":{},"properties":{"a":""},"sensitive":[]}"#;
        let metadata: Metadata = serde_json::from_str(text).unwrap();
        assert_eq!(metadata.tags, None);
        assert_eq!(
            serde_json::to_string(&metadata).unwrap(),
            r#"{"properties":{"a":""}}"#
        );
        let text = r#"{"migrationRules":[],"domainRules":[{"name":"r","type":"CEL","doc":"",
            "tags":[],"params":{},"expr":null}],"enableAt":""}"#;
        let rules: RuleSet = serde_json::from_str(text).unwrap();
        let written = r#"{"domainRules":[{"name":"r","type":"CEL"}]}"#;
        assert_eq!(serde_json::to_string(&rules).unwrap(), written);
        assert_eq!(
            serde_json::from_str::<RuleSet>(written).unwrap(),
            rules,
            "the same content"
        );
        let emptied = RuleSet {
            domain_rules: Some(Vec::new()),
            ..RuleSet::default()
        };
        assert_eq!(serde_json::to_string(&emptied).unwrap(), "{}");
    }

    #[test]
    fn unknown_request_properties_are_ignored() {
        let text = r#"{"schema":"x","propagateSchemaTags":true,"references":null}"#;
        let request: RegisterRequest = serde_json::from_str(text).unwrap();
        assert_eq!(request.schema.as_deref(), Some("x"));
        assert_eq!(request.references, None);
    }
}
