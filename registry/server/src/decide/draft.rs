//! A requested schema before it is parsed: validated, and completed from the subject's latest
//! version and the configuration where the request leaves something out.

use avouch_registry_api::rest::{
    ConfigProperties, Metadata, ReferenceRequest, RegisterRequest, RuleSet, SchemaReference,
    SchemaTags, TagRequest,
};
use avouch_registry_api::types::{SchemaId, SchemaType, Version};

use crate::decide::content::Content;
use crate::decide::register::WantedVersion;
use crate::decide::{metadata, rules, tags};
use crate::error::RegistryError;

/// Maximum size of a schema that is parsed within tens of microseconds, in bytes.
const SHORT_BYTES: usize = 4 << 10;
/// Maximum number of direct references of a requested schema, whatever is configured.
const MAX_REFERENCES: usize = 10_000;

/// A requested reference. Its version may be -1, which is the latest, or one that cannot exist.
#[derive(Clone, Debug)]
pub(crate) struct RequestedReference {
    pub(crate) name: String,
    pub(crate) subject: String,
    pub(crate) version: i32,
}

impl From<&SchemaReference> for RequestedReference {
    fn from(reference: &SchemaReference) -> Self {
        Self {
            name: reference.name.clone(),
            subject: reference.subject.clone(),
            version: reference.version.get(),
        }
    }
}

/// The schema of a request.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    schema_type: SchemaType,
    text: Option<String>,
    pub(crate) references: Vec<RequestedReference>,
    metadata: Option<Metadata>,
    rule_set: Option<RuleSet>,
    /// The requested version.
    pub(crate) version: WantedVersion,
    /// The requested ID.
    pub(crate) id: Option<SchemaId>,
    /// Normalize the schema.
    pub(crate) normalize: bool,
    /// Tags to add to the schema.
    pub(crate) tags_to_add: Vec<SchemaTags>,
    /// Tags to remove from the schema, after the others have been added.
    pub(crate) tags_to_remove: Vec<SchemaTags>,
    propagate_tags: bool,
}

impl Draft {
    /// Validates a request.
    ///
    /// # Errors
    /// [`RegistryError::InvalidSchema`] for an unknown type, an incomplete reference or an invalid
    /// version; [`RegistryError::InvalidRuleSet`] for rules that no client could apply.
    pub(crate) fn of(request: RegisterRequest, normalize: bool) -> Result<Self, RegistryError> {
        let schema_type = match request.schema_type.as_deref() {
            // An empty type means Avro, like an absent one.
            None | Some("") => SchemaType::Avro,
            // Unlike levels and modes, types are compared with case, as in Confluent's registry.
            Some(name) => name
                .parse()
                .ok()
                .filter(|known: &SchemaType| known.as_str() == name)
                .ok_or_else(|| {
                    RegistryError::InvalidSchema(format!("Invalid schema type {name}"))
                })?,
        };
        let tags_to_add = request.schema_tags_to_add.unwrap_or_default();
        let tags_to_remove = request.schema_tags_to_remove.unwrap_or_default();
        let tagged = !tags_to_add.is_empty() || !tags_to_remove.is_empty();
        let version = match WantedVersion::of(request.version)? {
            // Tags create a new schema, whose version is stored in its metadata.
            WantedVersion::Any if tagged => WantedVersion::Next,
            version => version,
        };
        Ok(Self {
            schema_type,
            // Java treats a blank string like a missing one.
            text: request.schema.filter(|text| !text.trim().is_empty()),
            references: references(request.references.unwrap_or_default())?,
            metadata: request.metadata,
            rule_set: request.rule_set.map(rules::checked).transpose()?,
            version,
            // Clients send -1 for a schema without an ID.
            id: request.id.and_then(SchemaId::new),
            normalize,
            tags_to_add,
            tags_to_remove,
            propagate_tags: request.propagate_schema_tags == Some(true),
        })
    }

    /// Returns the next version of a subject: `base` with changed tags, metadata and rules. Rules
    /// are merged into or removed from `before`.
    ///
    /// # Errors
    /// [`RegistryError::InvalidRuleSet`] for rules that no client could apply, or that are both
    /// replaced and changed.
    pub(crate) fn retagged(
        base: Content,
        request: TagRequest,
        before: Option<RuleSet>,
    ) -> Result<Self, RegistryError> {
        let changes_rules = request.rules_to_merge.is_some() || request.rules_to_remove.is_some();
        if changes_rules && request.rule_set.is_some() {
            let message = "ruleSet should be omitted if specifying rulesToMerge or rulesToRemove";
            return Err(RegistryError::InvalidRuleSet(message.to_owned()));
        }
        let rule_set = request.rule_set.map(rules::checked).transpose()?;
        let added = request.rules_to_merge.map(rules::checked).transpose()?;
        let rule_set = if changes_rules {
            let removed = request.rules_to_remove.unwrap_or_default();
            rules::merged(before, added).map(|rules| rules::without(rules, &removed))
        } else {
            rule_set
        };
        let version = match WantedVersion::of(request.new_version)? {
            WantedVersion::Any => WantedVersion::Next,
            version => version,
        };
        Ok(Self {
            schema_type: base.schema_type,
            text: Some(base.text),
            references: base.references.iter().map(Into::into).collect(),
            metadata: request.metadata.or(base.metadata),
            rule_set,
            version,
            id: None,
            normalize: false,
            tags_to_add: request.tags_to_add.unwrap_or_default(),
            tags_to_remove: request.tags_to_remove.unwrap_or_default(),
            propagate_tags: false,
        })
    }

    /// Returns true if the schema is parsed within tens of microseconds.
    pub(crate) fn is_cheap_to_parse(&self) -> bool {
        let is_short = |text: &String| text.len() <= SHORT_BYTES;
        self.references.is_empty() && self.text.as_ref().is_some_and(is_short)
    }

    /// Returns true if the request contains a schema.
    pub(crate) fn has_text(&self) -> bool {
        self.text.is_some()
    }

    /// Returns true if the request changes no tags of the schema.
    pub(crate) fn is_untagged(&self) -> bool {
        self.tags_to_add.is_empty() && self.tags_to_remove.is_empty() && !self.propagate_tags
    }

    /// Adds what the request leaves out: schema, metadata and rules of the subject's latest
    /// version, and metadata and rules of the configuration, which may also override those of the
    /// request. `next` is the version that the schema gets if it is new; `None` for a lookup.
    /// Returns true if anything changed.
    pub(crate) fn complete(
        &mut self,
        latest: Option<&Content>,
        config: &ConfigProperties,
        next: Option<Version>,
    ) -> bool {
        // Compared at the end, so that the caller parses again only what changed.
        let sent = self.clone();
        if let (None, Some(latest)) = (&self.text, latest) {
            self.schema_type = latest.schema_type;
            self.text = Some(latest.text.clone());
            self.references = latest.references.iter().map(Into::into).collect();
        }
        if let (true, Some(latest)) = (self.propagate_tags, latest) {
            // Before the requested ones, which may extend those of the latest version.
            self.tags_to_add.splice(..0, tags::found(&latest.text));
        }
        let inherited = latest.and_then(|latest| latest.metadata.clone());
        let own = self.metadata.take().or(inherited);
        // Later arguments win: default, then own, then override.
        let own = metadata::merged(config.default_metadata.clone(), own);
        self.metadata = metadata::merged(own, config.override_metadata.clone());
        let inherited = latest.and_then(|latest| latest.rule_set.clone());
        let own = self.rule_set.take().or(inherited);
        let own = rules::merged(config.default_rule_set.clone(), own);
        self.rule_set = rules::merged(own, config.override_rule_set.clone());
        // A version inherited from the latest schema would be wrong for the next one.
        let has_version = metadata::stored_version(self.metadata.as_ref()).is_some();
        if let Some(next) = next
            && (self.version != WantedVersion::Any || has_version)
        {
            self.metadata = Some(metadata::with_version(self.metadata.take(), next));
        }
        self.text != sent.text
            || self.metadata != sent.metadata
            || self.rule_set != sent.rule_set
            || self.tags_to_add != sent.tags_to_add
    }

    /// Returns the content, whose schema is not parsed yet. `references` are those of the draft
    /// with their versions resolved.
    ///
    /// # Errors
    /// [`RegistryError::InvalidSchema`] if there is no schema.
    pub(crate) fn content(
        self,
        references: Vec<SchemaReference>,
    ) -> Result<Content, RegistryError> {
        let empty = || RegistryError::InvalidSchema("Empty schema".to_owned());
        Ok(Content {
            schema_type: self.schema_type,
            text: self.text.ok_or_else(empty)?,
            references,
            metadata: self.metadata,
            rule_set: self.rule_set,
        })
    }
}

fn references(requested: Vec<ReferenceRequest>) -> Result<Vec<RequestedReference>, RegistryError> {
    if requested.len() > MAX_REFERENCES {
        let message = format!("More than {MAX_REFERENCES} references");
        return Err(RegistryError::InvalidSchema(message));
    }
    let complete = |reference: ReferenceRequest| {
        let whole = (reference.name, reference.subject, reference.version);
        let (Some(name), Some(subject), Some(version)) = whole else {
            let message = "A reference needs name, subject and version".to_owned();
            return Err(RegistryError::InvalidSchema(message));
        };
        Ok(RequestedReference {
            name,
            subject,
            version,
        })
    };
    requested.into_iter().map(complete).collect()
}

/// Returns the error for a stored content that cannot be parsed, in Confluent's form.
pub(crate) fn invalid_schema(subject: &str, content: &Content, reason: &str) -> RegistryError {
    let references: Vec<_> = content.references.iter().map(Into::into).collect();
    invalid_draft(subject, content, &references, reason)
}

/// Returns the error for a requested content, whose `references` are not resolved yet, in
/// Confluent's form.
pub(crate) fn invalid_draft(
    subject: &str,
    content: &Content,
    references: &[RequestedReference],
    reason: &str,
) -> RegistryError {
    const SHOWN_CHARS: usize = 10 * 1024;
    let text: String = content.text.chars().take(SHOWN_CHARS).collect();
    let named = references.iter();
    let guid = content.guid_with(named.map(|r| (&*r.name, &*r.subject, r.version)));
    let references: Vec<String> = references
        .iter()
        .map(|reference| {
            let RequestedReference {
                name,
                subject,
                version,
            } = reference;
            format!("{{name='{name}', subject='{subject}', version={version}}}")
        })
        .collect();
    let references = references.join(", ");
    let schema_type = content.schema_type;
    let metadata = or_null(content.metadata.as_ref());
    let rule_set = or_null(content.rule_set.as_ref());
    RegistryError::InvalidSchema(format!(
        "Invalid schema {{subject={subject},version=0,id=-1,guid={guid},schemaType={schema_type},\
         references=[{references}],metadata={metadata},ruleSet={rule_set},schema={text}}} with \
         refs [{references}] of type {schema_type}, details: {reason}"
    ))
}

fn or_null<T: serde::Serialize>(value: Option<&T>) -> String {
    serde_json::to_string(&value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(json: &str) -> Result<Draft, RegistryError> {
        Draft::of(serde_json::from_str(json).unwrap(), false)
    }

    #[test]
    fn malformed_request_is_invalid_schema() {
        let table = [
            (
                r#"{"schema":"x","schemaType":"THRIFT"}"#,
                "Invalid schema type THRIFT",
            ),
            (
                r#"{"schema":"x","schemaType":"avro"}"#,
                "Invalid schema type avro",
            ),
            (
                r#"{"schema":"x","references":[{"name":"n","subject":"s"}]}"#,
                "A reference needs name, subject and version",
            ),
            (r#"{"schema":"x","version":-7}"#, "Invalid version -7"),
        ];
        for (json, message) in table {
            assert_eq!(draft(json).unwrap_err().to_string(), message);
        }
        let empty = draft("{}").unwrap().content(Vec::new()).unwrap_err();
        assert_eq!(empty.to_string(), "Empty schema");
    }

    // Conformance: registry/rule-5
    #[test]
    fn missing_parts_come_from_latest_version() {
        let none = ConfigProperties::default();
        let json = r#"{"schema":"\"int\"","metadata":{"properties":{"owner":"pay"}}}"#;
        let latest = draft(json).unwrap().content(Vec::new()).unwrap();
        let mut text_only = draft(r#"{"schema":"\"long\""}"#).unwrap();
        assert!(text_only.complete(Some(&latest), &none, Version::new(2)));
        let content = text_only.content(Vec::new()).unwrap();
        assert_eq!(content.text, "\"long\"");
        assert_eq!(content.metadata, latest.metadata);

        let mut nothing = draft("{}").unwrap();
        assert!(nothing.complete(Some(&latest), &none, Version::new(2)));
        assert_eq!(nothing.content(Vec::new()).unwrap(), latest);

        let mut first = draft(json).unwrap();
        assert!(
            !first.complete(None, &none, Some(Version::FIRST)),
            "nothing to add"
        );
    }

    // Conformance: registry/rest-6
    #[test]
    fn configuration_has_defaults_and_overrides() {
        let config = serde_json::from_str::<ConfigProperties>(
            r#"{"defaultMetadata":{"properties":{"a":"default","b":"default","c":"default"}},
                "overrideMetadata":{"properties":{"c":"override"}},
                "defaultRuleSet":{"domainRules":[{"name":"x","type":"CEL"}]},
                "overrideRuleSet":{"domainRules":[{"name":"y","type":"CEL"}]}}"#,
        );
        let mut whole = draft(
            r#"{"schema":"\"int\"","metadata":{"properties":{"b":"own","c":"own"}},
                "ruleSet":{"domainRules":[
                    {"name":"x","type":"JSONATA"},{"name":"y","type":"J"}
                ]}}"#,
        )
        .unwrap();
        assert!(whole.complete(None, &config.unwrap(), Some(Version::FIRST)));
        let content = whole.content(Vec::new()).unwrap();
        let values = ["a", "b", "c"].map(|name| content.property(name).unwrap());
        assert_eq!(values, ["default", "own", "override"]);
        let rules = content.rule_set.unwrap().domain_rules.unwrap();
        let types: Vec<_> = rules
            .iter()
            .map(|rule| {
                (
                    rule.name.as_deref().unwrap(),
                    rule.rule_type.as_deref().unwrap(),
                )
            })
            .collect();
        assert_eq!(types, [("x", "JSONATA"), ("y", "CEL")]);
    }

    /// The request, and the version in the completed metadata.
    #[test]
    fn requested_version_is_stored_in_metadata() {
        let table = [
            (r#"{"schema":"x"}"#, None),
            (r#"{"schema":"x","version":0}"#, None),
            (r#"{"schema":"x","version":-1}"#, Some("4")),
            (r#"{"schema":"x","version":4}"#, Some("4")),
            (
                r#"{"schema":"x","metadata":{"properties":{"confluent:version":"3"}}}"#,
                Some("4"),
            ),
        ];
        for (json, expected) in table {
            let mut draft = draft(json).unwrap();
            draft.complete(None, &ConfigProperties::default(), Version::new(4));
            assert_eq!(
                metadata::stored_version(draft.metadata.as_ref()),
                expected,
                "{json}"
            );
        }
    }
}
