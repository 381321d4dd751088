//! What a schema id stands for, and when two contents are the same. Content never changes under an
//! id; equal content in one context shares one id.

use avouch_avro::Schema;
use avouch_avro::schema::Limits;
use avouch_registry_api::rest::{Metadata, Rule, RuleSet, SchemaReference};
use avouch_registry_api::types::SchemaType;
use md5::{Digest as _, Md5};
use uuid::Uuid;

use crate::decide::metadata;

/// Everything that makes a schema what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) schema_type: SchemaType,
    /// For Avro the canonical text, normalized if that was asked for; otherwise as registered.
    pub(crate) text: String,
    pub(crate) references: Vec<SchemaReference>,
    pub(crate) metadata: Option<Metadata>,
    pub(crate) rule_set: Option<RuleSet>,
}

impl Content {
    /// MD5 of the content as a UUID: what Confluent Schema Registry calls the GUID. The digest runs
    /// over bare concatenations, so equal GUIDs do not prove equal contents: compare both.
    pub(crate) fn guid(&self) -> Uuid {
        let references = self.references.iter();
        self.guid_with(references.map(|r| (&*r.name, &*r.subject, r.version.get())))
    }

    /// Returns the GUID of this content with other references: name, subject and version of each.
    pub(crate) fn guid_with<'a>(
        &self,
        references: impl Iterator<Item = (&'a str, &'a str, i32)>,
    ) -> Uuid {
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

    /// Brings the references into the order that normalizing gives them, each once.
    pub(crate) fn sort_references(&mut self) {
        let mut sorted = std::mem::take(&mut self.references);
        sorted.sort_by(|one, other| {
            (&one.subject, one.version).cmp(&(&other.subject, other.version))
        });
        for reference in sorted {
            if !self.references.contains(&reference) {
                self.references.push(reference);
            }
        }
    }

    /// Whether one of the rules is run by this executor.
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

    /// The value of a metadata property.
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

/// How an Avro text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strictness {
    /// Names and defaults are checked, as for every new schema.
    New,
    /// They are not: the text was taken by a registry that did not check them, or is imported.
    Legacy,
}

/// A content with the texts it needs to be understood: its references, transitively, dependencies
/// first.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    pub(crate) content: Content,
    pub(crate) dependencies: Vec<String>,
}

/// A content that was understood.
#[derive(Clone, Debug)]
pub(crate) enum Parsed {
    /// An Avro schema.
    Avro(Box<Schema>),
    /// A JSON Schema or Protobuf text, which is only ever compared as text.
    Text,
}

impl Resolved {
    /// Bytes of text to read: what decides whether the work may run on a reactor thread.
    pub(crate) fn text_bytes(&self) -> usize {
        self.content.text.len() + self.dependencies.iter().map(String::len).sum::<usize>()
    }

    /// Parses what is stored already, as [`Resolved::parse_as`].
    ///
    /// # Errors
    /// The parser's message.
    pub(crate) fn parse(&self) -> Result<Parsed, String> {
        self.parse_as(Strictness::Legacy)
    }

    /// Parses the dependencies in order, each with those before it in scope, then the text itself.
    ///
    /// # Errors
    /// The parser's message.
    pub(crate) fn parse_as(&self, strictness: Strictness) -> Result<Parsed, String> {
        match self.content.schema_type {
            SchemaType::Json | SchemaType::Protobuf => return Ok(Parsed::Text),
            SchemaType::Avro => {}
        }
        let limits = Limits::default();
        let parse = |text: &str, scope: &[Schema]| match strictness {
            Strictness::New => Schema::parse_with(text, scope, &limits),
            Strictness::Legacy => Schema::parse_legacy(text, scope, &limits),
        };
        let mut scope: Vec<Schema> = Vec::with_capacity(self.dependencies.len());
        for text in &self.dependencies {
            let schema = parse(text, &scope);
            scope.push(schema.map_err(|error| format!("in a reference: {error}"))?);
        }
        let schema = parse(&self.content.text, &scope);
        schema
            .map(|schema| Parsed::Avro(Box::new(schema)))
            .map_err(|error| error.to_string())
    }
}

/// How an Avro schema's text is written in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// As it is kept.
    Kept,
    /// With the types of its references written out.
    Resolved,
}

#[cfg(test)]
mod tests {
    use avouch_registry_api::types::Version;

    use super::*;

    fn content(text: &str) -> Content {
        Content {
            schema_type: SchemaType::Avro,
            text: text.to_owned(),
            references: Vec::new(),
            metadata: None,
            rule_set: None,
        }
    }

    // Conformance: avro/2d
    #[test]
    fn the_guid_is_the_md5_of_the_text_when_there_is_nothing_else() {
        // md5sum of the eight bytes of "string", quotes included.
        let guid = content("\"string\"").guid();
        assert_eq!(
            guid.simple().to_string(),
            "095d71cf12556b9d5e330ad575b3df5d"
        );
    }

    // Conformance: avro/2d, registry/rule-2
    #[test]
    fn the_guid_runs_over_text_references_and_metadata_in_this_order() {
        let metadata =
            r#"{"tags":{"R.a":["PII"]},"properties":{"owner":"pay"},"sensitive":["key"]}"#;
        let whole = Content {
            references: vec![SchemaReference {
                name: "n.Id".into(),
                subject: "ids".into(),
                version: Version::new(3).unwrap(),
            }],
            metadata: Some(serde_json::from_str(metadata).unwrap()),
            ..content("\"string\"")
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
    fn every_part_of_the_content_changes_the_guid() {
        let plain = content("\"string\"");
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
                ..content("\"int\"")
            },
            content("\"int\""),
        ];
        for (index, one) in variants.iter().enumerate() {
            for other in &variants[index + 1..] {
                assert_ne!(one.guid(), other.guid(), "{one:?} {other:?}");
            }
        }
    }
}
