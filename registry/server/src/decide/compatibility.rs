//! Whether a schema agrees with earlier versions at a level, and the words for where it does not.
//! The wording and its order are Confluent Schema Registry's.

use avouch_avro::Schema;
use avouch_avro::compatibility::{Incompatibility, Kind, check};
use avouch_registry_api::rest::ConfigBody;
use avouch_registry_api::vocabulary::CompatibilityLevel;

use crate::decide::content::{Content, Parsed, Resolved};

/// Characters of an earlier schema that a message shows.
const SHOWN_CHARS: usize = 10 * 1024;

/// An earlier version to agree with.
#[derive(Clone, Debug)]
pub(crate) struct Earlier {
    pub(crate) version: i32,
    pub(crate) resolved: Resolved,
}

/// How many of a subject's versions, newest first, need to be read before [`relevant`] can choose;
/// `None` means all of them.
pub(crate) fn versions_to_read(config: &ConfigBody) -> Option<usize> {
    if config.compatibility_level == CompatibilityLevel::None {
        Some(0)
    } else if config.compatibility_level.is_transitive() || config.compatibility_group.is_some() {
        None
    } else {
        Some(1)
    }
}

/// Those of `earlier` (newest first) that the configuration compares `content` with, newest first.
pub(crate) fn relevant(
    config: &ConfigBody,
    content: &Content,
    mut earlier: Vec<Earlier>,
) -> Vec<Earlier> {
    if let Some(group) = &config.compatibility_group {
        let own = content.property(group);
        earlier.retain(|version| version.resolved.content.property(group) == own);
    }
    match config.compatibility_level {
        CompatibilityLevel::None => earlier.clear(),
        level if level.is_transitive() => {}
        _ => earlier.truncate(1),
    }
    earlier
}

/// Why the schema may not follow the earlier versions (newest first); empty when it may. Stops at
/// the first version that objects.
pub(crate) fn findings(
    level: CompatibilityLevel,
    new: &Parsed,
    new_content: &Content,
    earlier: &[Earlier],
) -> Vec<String> {
    let objection = earlier
        .iter()
        .map(|version| compare(level, new, new_content, version))
        .find(|messages| !messages.is_empty());
    let mut messages = objection.unwrap_or_default();
    if !messages.is_empty() {
        messages.push(format!(
            "{{validateFields: 'false', compatibility: '{level}'}}"
        ));
    }
    messages
}

fn compare(
    level: CompatibilityLevel,
    new: &Parsed,
    new_content: &Content,
    earlier: &Earlier,
) -> Vec<String> {
    let old_content = &earlier.resolved.content;
    if new_content.schema_type != old_content.schema_type {
        return vec!["Incompatible because of different schema type".to_owned()];
    }
    let old = match earlier.resolved.parse() {
        Ok(old) => old,
        Err(reason) => {
            return vec![format!(
                "version {} cannot be parsed: {reason}",
                earlier.version
            )];
        }
    };
    match (new, &old) {
        (Parsed::Avro(new), Parsed::Avro(old)) => compare_avro(level, new, old, earlier),
        (Parsed::Text, _) | (_, Parsed::Text) => {
            if new_content.text == old_content.text {
                return Vec::new();
            }
            let schema_type = new_content.schema_type;
            vec![format!(
                "Only Avro schemas are compared: a {schema_type} schema whose text differs needs \
                 compatibility level NONE"
            )]
        }
    }
}

fn compare_avro(
    level: CompatibilityLevel,
    new: &Schema,
    old: &Schema,
    earlier: &Earlier,
) -> Vec<String> {
    let new_reads_old = || messages(new, old, "new", "old");
    let old_reads_new = || messages(old, new, "old", "new");
    match level {
        CompatibilityLevel::None => Vec::new(),
        CompatibilityLevel::Backward | CompatibilityLevel::BackwardTransitive => {
            with_old_schema(new_reads_old(), earlier)
        }
        CompatibilityLevel::Forward | CompatibilityLevel::ForwardTransitive => {
            with_old_schema(old_reads_new(), earlier)
        }
        CompatibilityLevel::Full | CompatibilityLevel::FullTransitive => {
            let mut both = old_reads_new();
            both.extend(with_old_schema(new_reads_old(), earlier));
            both
        }
    }
}

/// Every reason why `reader` cannot read what `writer` wrote, each called by its age.
fn messages(reader: &Schema, writer: &Schema, reader_age: &str, writer_age: &str) -> Vec<String> {
    match check(reader, writer) {
        Ok(findings) => findings
            .iter()
            .map(|finding| message(finding, reader_age, writer_age))
            .collect(),
        Err(error) => vec![format!(
            "Unexpected exception during compatibility check: {error}"
        )],
    }
}

fn message(finding: &Incompatibility, reader: &str, writer: &str) -> String {
    let Incompatibility {
        kind, path, info, ..
    } = finding;
    let description = match kind {
        Kind::FixedSizeMismatch => format!(
            "The size of FIXED type field at path '{path}' in the {reader} schema does not match \
             with the {writer} schema"
        ),
        Kind::TypeMismatch => format!(
            "The type (path '{path}') of a field in the {reader} schema does not match with the \
             {writer} schema"
        ),
        Kind::NameMismatch => format!("The name of the schema has changed (path '{path}')"),
        Kind::MissingEnumSymbols => format!(
            "The {reader} schema is missing enum symbols '{info}' at path '{path}' in the {writer} \
             schema"
        ),
        Kind::MissingUnionBranch => format!(
            "The {reader} schema is missing a type inside a union field at path '{path}' in the \
             {writer} schema"
        ),
        Kind::ReaderFieldMissingDefaultValue => format!(
            "The field '{info}' at path '{path}' in the {reader} schema has no default value and \
             is missing in the {writer} schema"
        ),
    };
    let kind = kind.as_str();
    format!("{{errorType:'{kind}', description:'{description}', additionalInfo:'{info}'}}")
}

fn with_old_schema(mut messages: Vec<String>, earlier: &Earlier) -> Vec<String> {
    if messages.is_empty() {
        return messages;
    }
    messages.push(format!("{{oldSchemaVersion: {}}}", earlier.version));
    let text = &earlier.resolved.content.text;
    messages.push(match text.char_indices().nth(SHOWN_CHARS) {
        None => format!("{{oldSchema: '{text}'}}"),
        Some((end, _)) => format!("{{oldSchema: <truncated> '{}...'}}", &text[..end]),
    });
    messages
}

#[cfg(test)]
mod tests {
    use avouch_registry_api::vocabulary::SchemaType;

    use super::*;

    fn resolved(text: &str) -> Resolved {
        let content = Content {
            schema_type: SchemaType::Avro,
            text: text.to_owned(),
            references: Vec::new(),
            metadata: None,
            rule_set: None,
        };
        Resolved {
            content,
            dependencies: Vec::new(),
        }
    }

    fn messages_of(level: CompatibilityLevel, new: &str, old: &str) -> Vec<String> {
        let new = resolved(new);
        let earlier = Earlier {
            version: 1,
            resolved: resolved(old),
        };
        findings(level, &new.parse().unwrap(), &new.content, &[earlier])
    }

    fn record(fields: &str) -> String {
        format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
    }

    #[test]
    fn each_kind_has_its_words() {
        let fixed =
            |name: &str, size: u32| format!(r#"{{"type":"fixed","name":"{name}","size":{size}}}"#);
        let enumeration =
            |symbols: &str| format!(r#"{{"type":"enum","name":"E","symbols":[{symbols}]}}"#);
        let table = [
            (
                fixed("F", 4),
                fixed("F", 8),
                "{errorType:'FIXED_SIZE_MISMATCH', description:'The size of FIXED type field at \
                 path '/size' in the new schema does not match with the old schema', \
                 additionalInfo:'expected: 8, found: 4'}",
            ),
            (
                fixed("G", 4),
                fixed("F", 4),
                "{errorType:'NAME_MISMATCH', description:'The name of the schema has changed \
                 (path '/name')', additionalInfo:'expected: F'}",
            ),
            (
                enumeration(r#""A""#),
                enumeration(r#""A","B","C""#),
                "{errorType:'MISSING_ENUM_SYMBOLS', description:'The new schema is missing enum \
                 symbols '[B, C]' at path '/symbols' in the old schema', additionalInfo:'[B, C]'}",
            ),
            (
                r#"["null","string"]"#.to_owned(),
                r#"["null","string","int"]"#.to_owned(),
                "{errorType:'MISSING_UNION_BRANCH', description:'The new schema is missing a type \
                 inside a union field at path '/2' in the old schema', additionalInfo:'reader \
                 union lacking writer type: INT'}",
            ),
            (
                record(r#"{"name":"b","type":"int"}"#),
                record(""),
                "{errorType:'READER_FIELD_MISSING_DEFAULT_VALUE', description:'The field 'b' at \
                 path '/fields/0' in the new schema has no default value and is missing in the \
                 old schema', additionalInfo:'b'}",
            ),
        ];
        for (new, old, expected) in table {
            let messages = messages_of(CompatibilityLevel::Backward, &new, &old);
            assert_eq!(messages[0], expected);
        }
    }

    #[test]
    fn a_long_old_schema_is_cut() {
        let doc = "x".repeat(SHOWN_CHARS);
        let old = format!(r#"{{"type":"enum","name":"E","doc":"{doc}","symbols":["A"]}}"#);
        let messages = messages_of(CompatibilityLevel::Forward, "\"int\"", &old);
        let shown = &messages[2];
        assert!(shown.starts_with("{oldSchema: <truncated> '{") && shown.ends_with("...'}"));
        assert!(shown.len() < SHOWN_CHARS + 100, "{}", shown.len());
    }

    #[test]
    fn the_first_objecting_version_ends_the_comparison() {
        let new = resolved("\"int\"");
        let earlier = ["\"int\"", "\"string\"", "\"boolean\""]
            .into_iter()
            .zip([3, 2, 1]);
        let earlier: Vec<_> = earlier
            .map(|(text, version)| Earlier {
                version,
                resolved: resolved(text),
            })
            .collect();
        let level = CompatibilityLevel::BackwardTransitive;
        let messages = findings(level, &new.parse().unwrap(), &new.content, &earlier);
        assert!(
            messages.contains(&"{oldSchemaVersion: 2}".to_owned()),
            "{messages:?}"
        );
        assert_eq!(messages.len(), 4);
    }
}
