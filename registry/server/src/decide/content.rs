//! The content of a schema ID and its identity. Content never changes under an ID, and equal
//! content in one context has one ID.

use avouch_avro::Schema;
use avouch_avro::schema::{Limits, ParseError};
use avouch_registry_api::rest::{Metadata, Rule, RuleSet, SchemaReference};
use avouch_registry_api::types::SchemaType;
use md5::{Digest as _, Md5};
use thiserror::Error;
use uuid::Uuid;

use crate::decide::metadata;
use crate::error::RegistryError;

/// Everything that identifies a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) schema_type: SchemaType,
    /// For Avro, the string of Java's `Schema.toString()`, normalized if the request or the
    /// configuration demands it; for other types, the registered string.
    pub(crate) text: String,
    pub(crate) references: Vec<SchemaReference>,
    pub(crate) metadata: Option<Metadata>,
    pub(crate) rule_set: Option<RuleSet>,
}

impl Content {
    /// Returns the MD5 of the content as a UUID, which Confluent Schema Registry calls the GUID.
    /// The digest covers bare concatenations, so different contents can have equal GUIDs: compare
    /// both.
    pub(crate) fn guid(&self) -> Uuid {
        let references = self.references.iter();
        self.guid_with(references.map(|r| (&*r.name, &*r.subject, r.version.get())))
    }

    /// Returns the GUID of this content with other references: name, subject and version of each.
    pub(crate) fn guid_with<'a>(
        &self,
        references: impl Iterator<Item = (&'a str, &'a str, i32)>,
    ) -> Uuid {
        // Concatenation without separators, as in Confluent's registry: GUIDs must be equal in
        // both.
        let mut md5 = Md5::new();
        md5.update(&self.text);
        for (name, subject, version) in references {
            md5.update(name);
            md5.update(subject);
            md5.update(version.to_be_bytes());
        }
        if let Some(metadata) = &self.metadata {
            md5.update([1]);
            digest_metadata(&mut md5, metadata);
        }
        if let Some(rule_set) = &self.rule_set {
            md5.update([1]);
            digest_rules(&mut md5, rule_set);
        }
        Uuid::from_bytes(md5.finalize().into())
    }

    /// Sorts and deduplicates the references as normalization does.
    pub(crate) fn sort_references(&mut self) {
        let mut sorted = std::mem::take(&mut self.references);
        // By subject and version only; the sort is stable, so that names keep their order.
        sorted.sort_by(|one, other| {
            (&one.subject, one.version).cmp(&(&other.subject, other.version))
        });
        for reference in sorted {
            if !self.references.contains(&reference) {
                self.references.push(reference);
            }
        }
    }

    /// Returns true if one of the rules has this executor type.
    pub(crate) fn has_rule_of_type(&self, rule_type: &str) -> bool {
        let rules = self.rule_set.iter().flat_map(|rules| {
            let lists = [
                &rules.migration_rules,
                &rules.domain_rules,
                &rules.encoding_rules,
            ];
            lists.into_iter().flatten().flatten()
        });
        let mut types = rules.filter_map(|rule| rule.rule_type.as_deref());
        types.any(|own| own == rule_type)
    }

    /// Returns the value of a metadata property.
    pub(crate) fn property(&self, name: &str) -> Option<&str> {
        metadata::property(self.metadata.as_ref(), name)
    }
}

fn digest_metadata(md5: &mut Md5, metadata: &Metadata) {
    for (path, tags) in metadata.tags.iter().flatten() {
        md5.update(path);
        tags.iter().for_each(|tag| md5.update(tag));
    }
    for (key, value) in metadata.properties.iter().flatten() {
        md5.update(key);
        md5.update(value);
    }
    metadata
        .sensitive
        .iter()
        .flatten()
        .for_each(|key| md5.update(key));
}

fn digest_rules(md5: &mut Md5, rule_set: &RuleSet) {
    let lists = [
        &rule_set.migration_rules,
        &rule_set.domain_rules,
        &rule_set.encoding_rules,
    ];
    lists
        .into_iter()
        .flatten()
        .flatten()
        .for_each(|rule| digest_rule(md5, rule));
    rule_set
        .enable_at
        .iter()
        .for_each(|phase| md5.update(phase));
}

fn digest_rule(md5: &mut Md5, rule: &Rule) {
    let before = [
        &rule.name,
        &rule.doc,
        &rule.kind,
        &rule.mode,
        &rule.rule_type,
    ];
    before
        .into_iter()
        .flatten()
        .for_each(|text| md5.update(text));
    rule.tags.iter().flatten().for_each(|tag| md5.update(tag));
    for (key, value) in rule.params.iter().flatten() {
        md5.update(key);
        md5.update(value);
    }
    let after = [&rule.expr, &rule.on_success, &rule.on_failure];
    after
        .into_iter()
        .flatten()
        .for_each(|text| md5.update(text));
    if rule.disabled {
        md5.update([1]);
    }
}

/// Strictness of parsing an Avro schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Names and defaults are validated, as for every new schema.
    New,
    /// Names and defaults are not validated: the schema is stored already, or is imported.
    Legacy,
}

/// A content with the schemas that it needs to be parsed: its references, transitively,
/// dependencies first.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) content: Content,
    pub(crate) dependencies: Vec<String>,
}

/// A parsed content.
#[derive(Clone, Debug)]
pub(crate) enum Parsed {
    /// An Avro schema.
    Avro(Box<Schema>),
    /// A JSON or Protobuf schema, which is compared as text only.
    Text,
}

/// Reason why a content cannot be parsed.
#[derive(Debug, Error)]
pub(crate) enum ContentError {
    /// A referenced schema is invalid.
    #[error("in a reference: {0}")]
    Reference(#[source] ParseError),
    /// The schema itself is invalid.
    #[error(transparent)]
    Schema(#[from] ParseError),
}

impl Resolved {
    /// Checks the size of the schema, which is in canonical form.
    ///
    /// # Errors
    /// [`RegistryError::SchemaTooLarge`] if it exceeds the limit.
    pub(crate) fn check_size(&self, limit: usize) -> Result<(), RegistryError> {
        let bytes = self.content.text.len();
        if bytes > limit {
            return Err(RegistryError::SchemaTooLarge { bytes, limit });
        }
        Ok(())
    }

    /// Returns the total size of the schemas in bytes, which determines where they are parsed.
    pub(crate) fn text_bytes(&self) -> usize {
        self.content.text.len() + self.dependencies.iter().map(String::len).sum::<usize>()
    }

    /// Parses a stored content, see [`Resolved::parse_as`].
    ///
    /// # Errors
    /// If the schema or a reference is invalid.
    pub(crate) fn parse(&self) -> Result<Parsed, ContentError> {
        self.parse_as(Strictness::Legacy)
    }

    /// Parses the dependencies in order, each with the previous ones in scope, then the schema.
    ///
    /// # Errors
    /// If the schema or a reference is invalid.
    pub(crate) fn parse_as(&self, strictness: Strictness) -> Result<Parsed, ContentError> {
        match self.content.schema_type {
            // Stored and compared as text; no parser of these languages is included.
            SchemaType::Json | SchemaType::Protobuf => return Ok(Parsed::Text),
            SchemaType::Avro => {}
        }
        // The size limits of bodies and of canonical forms apply to the text.
        let mut limits = Limits::default();
        limits.source_bytes = usize::MAX;
        // The limit of branches applies to registrations, not to what is stored already.
        limits.branches = usize::MAX;
        // The dependencies are parsed like the schema: with legacy data anywhere in the graph,
        // strict parsing of a dependency would make a stored schema unreadable.
        let parse = |text: &str, scope: &[Schema]| match strictness {
            Strictness::New => Schema::parse_with(text, scope, &limits),
            Strictness::Legacy => Schema::parse_legacy(text, scope, &limits),
        };
        let mut scope: Vec<Schema> = Vec::with_capacity(self.dependencies.len());
        for text in &self.dependencies {
            let schema = parse(text, &scope);
            scope.push(schema.map_err(ContentError::Reference)?);
        }
        let schema = parse(&self.content.text, &scope);
        Ok(Parsed::Avro(Box::new(schema?)))
    }
}

/// Format of an Avro schema in a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// As stored.
    Stored,
    /// With the referenced types inlined.
    Resolved,
}

#[cfg(test)]
impl Content {
    /// Returns the content of a bare Avro schema.
    pub(crate) fn avro(text: &str) -> Self {
        Self {
            schema_type: SchemaType::Avro,
            text: text.to_owned(),
            references: Vec::new(),
            metadata: None,
            rule_set: None,
        }
    }
}

#[cfg(test)]
impl Resolved {
    /// Returns a bare Avro schema, which needs no other.
    pub(crate) fn avro(text: &str) -> Self {
        Self {
            content: Content::avro(text),
            dependencies: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use avouch_registry_api::types::Version;

    use super::*;

    // Conformance: avro/2d
    #[test]
    fn guid_of_bare_schema_is_its_md5() {
        // md5sum of the eight bytes of "string", quotes included.
        let guid = Content::avro("\"string\"").guid();
        assert_eq!(
            guid.simple().to_string(),
            "095d71cf12556b9d5e330ad575b3df5d"
        );
    }

    // Conformance: avro/2d, registry/rule-2
    #[test]
    fn guid_covers_schema_references_and_metadata() {
        let metadata =
            r#"{"tags":{"R.a":["PII"]},"properties":{"owner":"pay"},"sensitive":["key"]}"#;
        let whole = Content {
            references: vec![SchemaReference {
                name: "n.Id".into(),
                subject: "ids".into(),
                version: Version::new(3).unwrap(),
            }],
            metadata: Some(serde_json::from_str(metadata).unwrap()),
            ..Content::avro("\"string\"")
        };
        // md5sum of: "string" (quotes included), n.Id, ids, 00 00 00 03, 01, R.a, PII, owner, pay,
        // key.
        assert_eq!(
            whole.guid().simple().to_string(),
            "0d6e214dfaeeb51a120facfe8f12207a"
        );
    }

    // Conformance: registry/rule-2
    #[test]
    fn every_part_changes_guid() {
        let plain = Content::avro("\"string\"");
        let reference = SchemaReference {
            name: "n".into(),
            subject: "s".into(),
            version: Version::FIRST,
        };
        let variants = [
            plain.clone(),
            Content {
                references: vec![reference],
                ..plain.clone()
            },
            Content {
                metadata: Some(Metadata::default()),
                ..plain
            },
            Content {
                rule_set: Some(RuleSet::default()),
                ..Content::avro("\"int\"")
            },
            Content::avro("\"int\""),
        ];
        for (index, one) in variants.iter().enumerate() {
            for other in &variants[index + 1..] {
                assert_ne!(one.guid(), other.guid(), "{one:?} {other:?}");
            }
        }
    }
}
