//! The bodies of the REST contract. Absent and empty are left out when written; unknown properties
//! are ignored when read. Property names and their order are Confluent Schema Registry's.

mod plan;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};

use crate::types::{CompatibilityLevel, CompatibilityPolicy, Mode, SchemaId, SchemaType, Version};
pub use plan::{PlanAction, PlanBody, PlanRequest, PlanStepBody, PlanStepRequest, RefusedPlanBody};

/// The content type of every answer, unless the client accepts only a broader one.
pub const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";

/// A named type that lives in another subject's version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SchemaReference {
    /// The name by which the referring schema calls it.
    pub name: String,
    /// Where it is registered.
    pub subject: String,
    /// The version there.
    pub version: Version,
}

/// A reference as a request brings it: nothing in it can be relied upon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ReferenceRequest {
    /// The name by which the referring schema calls it.
    pub name: Option<String>,
    /// Where it is registered.
    pub subject: Option<String>,
    /// 1 and up; -1 asks for the latest.
    pub version: Option<i32>,
}

/// What an owner notes about a schema; part of its identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Metadata {
    /// Path into the schema to its tags.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub tags: Option<BTreeMap<String, BTreeSet<String>>>,
    /// Free key and value pairs.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub properties: Option<BTreeMap<String, String>>,
    /// Keys of the properties that must not be logged.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub sensitive: Option<BTreeSet<String>>,
}

/// Rules that clients apply; kept and returned, never run here. Part of a schema's identity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct RuleSet {
    /// Rules between versions.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub migration_rules: Option<Vec<Rule>>,
    /// Rules on values.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub domain_rules: Option<Vec<Rule>>,
    /// Rules on bytes.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub encoding_rules: Option<Vec<Rule>>,
    /// When they come into force.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub enable_at: Option<String>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Rule {
    /// Its name, unique in its list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What it is for.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
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
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub tags: Option<BTreeSet<String>>,
    /// The executor's parameters.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub params: Option<BTreeMap<String, String>>,
    /// The executor's expression.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub expr: Option<String>,
    /// Action on success.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub on_success: Option<String>,
    /// Action on failure.
    #[serde(deserialize_with = "filled", skip_serializing_if = "is_blank")]
    pub on_failure: Option<String>,
    /// Whether it is switched off.
    #[serde(skip_serializing_if = "is_false")]
    pub disabled: bool,
}

/// The body of a registration, a look-up and a compatibility check.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
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
    /// What the owner notes about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Rules that clients apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<RuleSet>,
    /// The version it must get; 0 and absent leave that to the registry, and -1 asks for the next
    /// one with its number noted in the metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
    /// The id it must get, in mode `IMPORT` only; negative and absent leave that to the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<i32>,
    /// Tags to write into the text before it is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_tags_to_add: Option<Vec<SchemaTags>>,
    /// Tags to take out of the text before it is registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_tags_to_remove: Option<Vec<SchemaTags>>,
    /// Whether the tags of the subject's latest version are written into the text too.
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

/// Tags of one place in a schema's text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct SchemaTags {
    /// The place.
    pub schema_entity: SchemaEntity,
    /// The tags, in the order of the text.
    pub tags: Vec<String>,
}

/// A record of a schema, or a field of one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct SchemaEntity {
    /// The record's full name; for a field, a dot and its name follow.
    pub entity_path: String,
    /// What the path leads to.
    pub entity_type: EntityType,
}

/// What can be tagged.
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

/// The body of a change of tags, metadata and rules, which registers a new version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct TagRequest {
    /// The version it must get: one more than the latest; absent leaves that to the registry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_version: Option<i32>,
    /// Tags to write into the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags_to_add: Option<Vec<SchemaTags>>,
    /// Tags to take out of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags_to_remove: Option<Vec<SchemaTags>>,
    /// Replaces the version's metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Replaces the version's rules; not together with the next two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<RuleSet>,
    /// Rules to add to those of the version before, or to replace by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules_to_merge: Option<RuleSet>,
    /// Names of rules to drop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules_to_remove: Option<Vec<String>>,
}

/// A schema in an answer. Registration leaves out the subject; the look-up by id leaves out the id,
/// and subject and version too unless the request named a subject.
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
    /// MD5 of the content, written as a UUID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// The language; absent means Avro.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema_type: Option<SchemaType>,
    /// Named types of other subjects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<SchemaReference>,
    /// What the owner notes about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
    /// Rules that clients apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<RuleSet>,
    /// The stored text.
    pub schema: String,
    /// The tags in the text that were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schema_tags: Vec<SchemaTags>,
    /// Other names of the subject, when asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The highest id given out so far, when asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_id: Option<SchemaId>,
    /// When the version was registered, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ts: Option<i64>,
    /// Whether the version is soft-deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<bool>,
}

/// One place where a schema id is registered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SubjectVersionBody {
    /// The subject.
    pub subject: String,
    /// The version.
    pub version: Version,
}

/// One id that stands for a schema's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ContextIdBody {
    /// The context whose id it is, `.` for the default one.
    pub context: String,
    /// The schema id.
    pub id: SchemaId,
}

/// The verdict of a compatibility check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CompatibilityBody {
    /// Whether the schema may be registered, as far as the checked versions go.
    pub is_compatible: bool,
    /// Why not; only when the request was verbose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<String>>,
    /// Why not, in parts; only when the request asked for an explanation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings: Option<Vec<FindingBody>>,
}

/// One reason why a schema does not agree with an earlier version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct FindingBody {
    /// The kind in Confluent's words, such as `READER_FIELD_MISSING_DEFAULT_VALUE`.
    pub kind: String,
    /// The earlier version that objects.
    pub version: Version,
    /// Whose data reading fails: `BACKWARD` when the new schema cannot read the earlier version's
    /// data, `FORWARD` when the earlier version cannot read the new schema's.
    pub direction: CompatibilityLevel,
    /// The particulars, such as the field's name.
    pub info: String,
    /// A change that would remove the finding.
    pub suggestion: String,
    /// The place in the schema of the request.
    pub new: PlaceBody,
    /// The place in the earlier version.
    pub old: PlaceBody,
}

/// A place in a schema's text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct PlaceBody {
    /// By names, such as `/items[]/price`.
    pub path: String,
    /// First byte; of the request's schema as it was sent, of an earlier version as it is stored.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// The version that a look-up almost found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ClosestBody {
    /// Its subject.
    pub subject: String,
    /// The version.
    pub version: Version,
    /// Its schema id.
    pub id: SchemaId,
    /// What keeps it from being the schema that was looked up, a sentence each.
    pub differences: Vec<String>,
}

/// A configuration as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct ConfigBody {
    /// The level in force.
    pub compatibility_level: CompatibilityLevel,
    /// Everything else.
    #[serde(flatten)]
    pub properties: ConfigProperties,
}

/// A configuration as it was stored by an update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct StoredConfigBody {
    /// The level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility: Option<CompatibilityLevel>,
    /// Everything else.
    #[serde(flatten)]
    pub properties: ConfigProperties,
}

/// What a configuration holds besides its level.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct ConfigProperties {
    /// The subject that requests for this one act on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The same for a registry of encryption keys; kept and returned only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias_for_deks: Option<String>,
    /// Whether schemas are normalized whether or not a request asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    /// Whether reserved fields of the metadata are checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_fields: Option<bool>,
    /// Whether names and defaults of new schemas are checked; they are unless this is false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_new_schemas: Option<bool>,
    /// Kept and returned only: clients run the rules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validate_rules: Option<bool>,
    /// How findings are weighed; kept and returned, Avro schemas are always compared strictly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_policy: Option<CompatibilityPolicy>,
    /// Name of the metadata property whose value separates versions into groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility_group: Option<String>,
    /// Metadata of new versions where a registration says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_metadata: Option<Metadata>,
    /// Metadata of new versions whatever a registration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_metadata: Option<Metadata>,
    /// Rules of new versions where a registration says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_rule_set: Option<RuleSet>,
    /// Rules of new versions whatever a registration says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_rule_set: Option<RuleSet>,
}

/// A mode in an answer; absent after one was cleared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ModeBody {
    /// The mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

/// A subject that a resource, such as a topic, uses for its keys or values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct AssociationBody {
    /// The subject.
    pub subject: String,
    /// The GUID of the association.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// The resource's name, such as a topic's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_name: Option<String>,
    /// The resource's namespace, such as a Kafka cluster's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_namespace: Option<String>,
    /// The resource's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
    /// The kind of resource, such as `topic`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<String>,
    /// `key` or `value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub association_type: Option<String>,
    /// `STRONG` or `WEAK`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifecycle: Option<String>,
    /// Whether the subject accepts no further versions.
    #[serde(default)]
    pub frozen: bool,
}

/// Which cluster a registry serves (`GET /v1/metadata/id`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClusterIdBody {
    /// The cluster.
    pub scope: ClusterScope,
}

/// A cluster as Confluent's tools name one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClusterScope {
    /// Organisations above it; always empty here.
    pub path: Vec<String>,
    /// Names by kind: `kafka-cluster` and `schema-registry-cluster`.
    pub clusters: BTreeMap<String, String>,
}

/// What runs here (`GET /v1/metadata/version`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct BuildBody {
    /// The version.
    pub version: String,
    /// The commit it was built from.
    pub commit_id: String,
}

/// How it is deployed (`GET /v1/metadata/deployment`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeploymentBody {
    /// Always empty: these are features of Confluent's product.
    pub attributes: Vec<String>,
}

/// The answer that says no more than that there is one (`GET /`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EmptyBody {}

/// One version without its text (`GET /v1/subjects/{subject}/versions`).
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
    /// MD5 of the content, written as a UUID.
    pub guid: String,
    /// The language.
    pub schema_type: SchemaType,
    /// Whether it is soft-deleted.
    pub deleted: bool,
    /// When it was registered, in milliseconds since 1970.
    pub created_at_ms: i64,
}

/// How far the registry's content has moved (`GET /v1/changes`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangesBody {
    /// Grows with every change, also across restarts; it goes back only with a restored database.
    pub seq: u64,
    /// Identifies the node since its start or since it last lost its database. A value that is new
    /// to a caller means that any schema may have changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Schema ids of the default context whose schema, subject versions or references may have
    /// changed after `since`. Absent when any may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Vec<SchemaId>>,
}

/// Reads a number that some registries write as -1 or 0 where none is assigned yet, such as in the
/// response to a dry run.
fn assigned<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i32>,
{
    let number = Option::<i32>::deserialize(deserializer)?;
    Ok(number.and_then(|number| T::try_from(number).ok()))
}

fn is_false(value: &bool) -> bool {
    !value
}

/// What can be empty, which stands for absent.
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

/// Reads a property of which an empty value says no more than an absent one, so that both are the
/// same content.
fn filled<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Blank + Deserialize<'de>,
{
    let value = Option::<T>::deserialize(deserializer)?;
    Ok(value.filter(|value| !value.is_blank()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_and_empty_properties_are_not_written() {
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
    fn what_is_empty_inside_metadata_and_rules_is_as_good_as_absent() {
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
    fn unknown_properties_of_a_request_are_ignored() {
        let text = r#"{"schema":"x","propagateSchemaTags":true,"references":null}"#;
        let request: RegisterRequest = serde_json::from_str(text).unwrap();
        assert_eq!(request.schema.as_deref(), Some("x"));
        assert_eq!(request.references, None);
    }
}
