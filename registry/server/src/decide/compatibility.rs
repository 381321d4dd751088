//! Compatibility of a schema with earlier versions at a level. The messages and their order are
//! those of Confluent Schema Registry.

use std::borrow::Cow;

use avouch_avro::Schema;
use avouch_avro::compatibility::{Incompatibility, IncompatibilityKind};
use avouch_avro::schema::{Site, Type};
use avouch_registry_api::rest::{ConfigBody, FindingBody, PlaceBody};
use avouch_registry_api::types::{CompatibilityLevel, Version};

use crate::decide::content::{Content, ContentError, Parsed, Resolved};
use crate::decide::metadata::reserved_fields;

/// Maximum length of an earlier schema in a message, in characters.
const SHOWN_CHARS: usize = 10 * 1024;
/// Maximum number of findings of one direction; the others are only counted. More make larger error
/// responses.
const FINDINGS_MAX: usize = 5_000;
/// Total size of the findings and messages of one direction, in bytes, after which the others are
/// only counted.
const FINDINGS_BYTES_MAX: usize = 4 << 20;
/// Maximum size of the details of one finding, such as the missing symbols, in bytes.
const INFO_BYTES_MAX: usize = 64 << 10;

/// Added to a missing default if the schema has no default at all.
const NO_DEFAULTS: &str = "{hint: 'the new schema has no default in any field; the serializer may \
    have dropped them'}";

/// An earlier version to compare with.
#[derive(Clone, Debug)]
pub(crate) struct Earlier {
    pub(crate) version: Version,
    pub(crate) resolved: Resolved,
}

/// The reasons why a schema is incompatible with earlier versions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Incompatibilities {
    /// Confluent's messages in Confluent's order; empty if the schema is compatible.
    pub(crate) messages: Vec<String>,
    /// The same as structured findings, for Avro schemas.
    pub(crate) findings: Vec<FindingBody>,
}

/// An earlier version that cannot be parsed, so that compatibility is unknown. Imports may create
/// such a version.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) version: Version,
    pub(crate) content: Content,
    pub(crate) reason: ContentError,
}

/// Returns how many of a subject's versions, newest first, [`relevant`] needs to choose from;
/// `None` means all of them.
pub(crate) fn versions_to_read(config: &ConfigBody) -> Option<usize> {
    let grouped = config.properties.compatibility_group.is_some();
    if config.compatibility_level == CompatibilityLevel::None {
        // Reserved fields are compared with the latest version at any level.
        Some(usize::from(validates_fields(config)))
    // The newest version of the group may be any version.
    } else if config.compatibility_level.is_transitive() || grouped {
        None
    } else {
        Some(1)
    }
}

/// Returns why the schema is incompatible with the earlier versions (newest first) under the
/// configuration. Stops at the first incompatible version.
///
/// # Errors
/// If a compared version cannot be parsed.
pub(crate) fn incompatibilities(
    config: &ConfigBody,
    new: &Parsed,
    new_content: &Content,
    earlier: Vec<Earlier>,
) -> Result<Incompatibilities, Box<Unreadable>> {
    let level = config.compatibility_level;
    let mut incompatibilities = Incompatibilities::default();
    if validates_fields(config) {
        let latest = earlier.first().map(|version| &version.resolved.content);
        incompatibilities.messages = reserved(new, new_content, latest);
    }
    for version in relevant(config, new_content, earlier) {
        // Newest first: the error names the version that the client most likely started from.
        let found = compare(level, new, new_content, &version)?;
        if !found.messages.is_empty() {
            incompatibilities.messages.extend(found.messages);
            incompatibilities.findings = found.findings;
            break;
        }
    }
    if lacks_all_defaults(&incompatibilities.findings, new_content) {
        incompatibilities.messages.push(NO_DEFAULTS.to_owned());
    }
    if !incompatibilities.messages.is_empty() {
        let validates = validates_fields(config);
        incompatibilities.messages.push(format!(
            "{{validateFields: '{validates}', compatibility: '{level}'}}"
        ));
    }
    Ok(incompatibilities)
}

/// Returns true if a default is missing and the new schema has none at all. Serializers that build
/// the schema from a type of the program, such as Go's `avrov2`, drop all defaults.
fn lacks_all_defaults(findings: &[FindingBody], new: &Content) -> bool {
    let is_missing = |finding: &FindingBody| {
        finding.kind == IncompatibilityKind::ReaderFieldMissingDefaultValue.as_str()
            && finding.direction == CompatibilityLevel::Backward
    };
    // The canonical form has no space before the colon. A `doc` with this text is escaped.
    findings.iter().any(is_missing) && !new.text.contains("\"default\":")
}

/// Returns those of `earlier` (newest first) that the configuration compares `content` with.
fn relevant(config: &ConfigBody, content: &Content, mut earlier: Vec<Earlier>) -> Vec<Earlier> {
    if let Some(group) = &config.properties.compatibility_group {
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

fn validates_fields(config: &ConfigBody) -> bool {
    config.properties.validate_fields == Some(true)
}

/// Returns messages about reserved fields that the schema has, or that it no longer reserves.
fn reserved(new: &Parsed, content: &Content, latest: Option<&Content>) -> Vec<String> {
    let own = reserved_fields(content.metadata.as_ref());
    let before = reserved_fields(latest.and_then(|content| content.metadata.as_ref()));
    let released = before.into_iter().filter(|field| !own.contains(field));
    let mut messages: Vec<String> = released
        .map(|field| {
            format!(
                "The new schema has reserved field {field} removed from its metadata which is \
                 present in the old schema's metadata."
            )
        })
        .collect();
    let used = own.iter().filter(|field| has_field(new, field));
    messages.extend(used.map(|field| {
        format!("The new schema has field that conflicts with the reserved field {field}.")
    }));
    messages
}

fn has_field(schema: &Parsed, field: &str) -> bool {
    let Parsed::Avro(schema) = schema else {
        return false;
    };
    // Only fields of the outermost record can be reserved.
    let root = &schema.node(schema.root()).kind;
    matches!(root, Type::Record(record) if record.position(field).is_some())
}

fn compare(
    level: CompatibilityLevel,
    new: &Parsed,
    new_content: &Content,
    earlier: &Earlier,
) -> Result<Incompatibilities, Box<Unreadable>> {
    let old_content = &earlier.resolved.content;
    if new_content.schema_type != old_content.schema_type {
        let message = "Incompatible because of different schema type".to_owned();
        return Ok(message_only(message));
    }
    let old = earlier.resolved.parse().map_err(|reason| Unreadable {
        version: earlier.version,
        content: old_content.clone(),
        reason,
    })?;
    Ok(match (new, &old) {
        (Parsed::Avro(new), Parsed::Avro(old)) => compare_avro(level, new, old, earlier),
        (Parsed::Text, _) | (_, Parsed::Text) => {
            if new_content.text == old_content.text {
                return Ok(Incompatibilities::default());
            }
            let schema_type = new_content.schema_type;
            message_only(format!(
                "Only Avro schemas are compared: a {schema_type} schema whose text differs needs \
                 compatibility level NONE"
            ))
        }
    })
}

fn message_only(message: String) -> Incompatibilities {
    Incompatibilities {
        messages: vec![message],
        findings: Vec::new(),
    }
}

fn compare_avro(
    level: CompatibilityLevel,
    new: &Schema,
    old: &Schema,
    earlier: &Earlier,
) -> Incompatibilities {
    let new_reads_old = || one_way(CompatibilityLevel::Backward, new, old, earlier.version);
    let old_reads_new = || one_way(CompatibilityLevel::Forward, new, old, earlier.version);
    match level {
        CompatibilityLevel::None => Incompatibilities::default(),
        CompatibilityLevel::Backward | CompatibilityLevel::BackwardTransitive => {
            with_old_schema(new_reads_old(), earlier)
        }
        CompatibilityLevel::Forward | CompatibilityLevel::ForwardTransitive => {
            with_old_schema(old_reads_new(), earlier)
        }
        CompatibilityLevel::Full | CompatibilityLevel::FullTransitive => {
            // Confluent reports this direction first, and the old schema once, at the end.
            let mut both = old_reads_new();
            let other = with_old_schema(new_reads_old(), earlier);
            both.messages.extend(other.messages);
            both.findings.extend(other.findings);
            both
        }
    }
}

/// Returns why one schema cannot read the other's data: the new one at `Backward`, the old one at
/// `Forward`.
fn one_way(
    direction: CompatibilityLevel,
    new: &Schema,
    old: &Schema,
    version: Version,
) -> Incompatibilities {
    let backward = direction == CompatibilityLevel::Backward;
    // Backward: the new schema reads data that was written with the old one.
    let (reader, writer) = if backward { (new, old) } else { (old, new) };
    let (reader_age, writer_age) = if backward {
        ("new", "old")
    } else {
        ("old", "new")
    };
    let found = match reader.can_read(writer) {
        Ok(compatibility) => compatibility.into_findings(),
        Err(error) => {
            return message_only(format!(
                "Unexpected exception during compatibility check: {error}"
            ));
        }
    };
    let mut incompatibilities = Incompatibilities::default();
    let mut bytes = 0;
    for finding in &found {
        // Checked before each finding, so the total exceeds the limit by one finding at most.
        if incompatibilities.findings.len() == FINDINGS_MAX || bytes > FINDINGS_BYTES_MAX {
            let more = found.len() - incompatibilities.findings.len();
            incompatibilities.messages.push(format!("and {more} more"));
            break;
        }
        let info = shown_info(&finding.info);
        let message = message(finding, &info, reader_age, writer_age);
        let (new, old) = if backward {
            (finding.reader(), finding.writer())
        } else {
            (finding.writer(), finding.reader())
        };
        let body = FindingBody {
            kind: finding.kind.as_str().to_owned(),
            version,
            direction,
            info: info.into_owned(),
            suggestion: finding.suggestion().to_owned(),
            new: place(new),
            old: place(old),
        };
        bytes += message.len() + body.info.len() + body.suggestion.len();
        bytes += body.new.path.len() + body.old.path.len();
        incompatibilities.messages.push(message);
        incompatibilities.findings.push(body);
    }
    incompatibilities
}

/// Returns the details of a finding, truncated to [`INFO_BYTES_MAX`].
fn shown_info(info: &str) -> Cow<'_, str> {
    if info.len() <= INFO_BYTES_MAX {
        return Cow::Borrowed(info);
    }
    // Slicing inside a character would panic.
    let end = info.floor_char_boundary(INFO_BYTES_MAX);
    let more = info.len() - end;
    Cow::Owned(format!("{}... and {more} bytes more", &info[..end]))
}

fn place(site: &Site) -> PlaceBody {
    PlaceBody {
        path: site.path.clone(),
        start: site.span.start,
        end: site.span.end,
    }
}

fn message(finding: &Incompatibility, info: &str, reader: &str, writer: &str) -> String {
    let Incompatibility { kind, path, .. } = finding;
    let description = match kind {
        IncompatibilityKind::FixedSizeMismatch => format!(
            "The size of FIXED type field at path '{path}' in the {reader} schema does not match \
             with the {writer} schema"
        ),
        IncompatibilityKind::TypeMismatch => format!(
            "The type (path '{path}') of a field in the {reader} schema does not match with the \
             {writer} schema"
        ),
        IncompatibilityKind::NameMismatch => {
            format!("The name of the schema has changed (path '{path}')")
        }
        IncompatibilityKind::MissingEnumSymbols => format!(
            "The {reader} schema is missing enum symbols '{info}' at path '{path}' in the {writer} \
             schema"
        ),
        IncompatibilityKind::MissingUnionBranch => format!(
            "The {reader} schema is missing a type inside a union field at path '{path}' in the \
             {writer} schema"
        ),
        IncompatibilityKind::ReaderFieldMissingDefaultValue => format!(
            "The field '{info}' at path '{path}' in the {reader} schema has no default value and \
             is missing in the {writer} schema"
        ),
        _ => {
            format!("The {reader} schema cannot read data of the {writer} schema at path '{path}'")
        }
    };
    let kind = kind.as_str();
    format!("{{errorType:'{kind}', description:'{description}', additionalInfo:'{info}'}}")
}

fn with_old_schema(
    mut incompatibilities: Incompatibilities,
    earlier: &Earlier,
) -> Incompatibilities {
    if incompatibilities.messages.is_empty() {
        return incompatibilities;
    }
    let version = earlier.version;
    incompatibilities
        .messages
        .push(format!("{{oldSchemaVersion: {version}}}"));
    let text = &earlier.resolved.content.text;
    incompatibilities
        .messages
        // Counted in characters, as by Confluent.
        .push(match text.char_indices().nth(SHOWN_CHARS) {
            None => format!("{{oldSchema: '{text}'}}"),
            Some((end, _)) => format!("{{oldSchema: <truncated> '{}...'}}", &text[..end]),
        });
    incompatibilities
}

#[cfg(test)]
mod tests {
    use avouch_registry_api::rest::ConfigProperties;

    use super::*;

    fn messages_of(level: CompatibilityLevel, new: &str, old: &str) -> Vec<String> {
        let new = Resolved::avro(new);
        let earlier = Earlier {
            version: Version::FIRST,
            resolved: Resolved::avro(old),
        };
        incompatibilities(
            &at(level),
            &new.parse().unwrap(),
            &new.content,
            vec![earlier],
        )
        .unwrap()
        .messages
    }

    fn at(level: CompatibilityLevel) -> ConfigBody {
        ConfigBody {
            compatibility_level: level,
            properties: ConfigProperties::default(),
        }
    }

    fn record(fields: &str) -> String {
        format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
    }

    // Conformance: avro/3b
    #[test]
    fn each_kind_has_its_message() {
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

    // Conformance: avro/3g
    #[test]
    fn size_of_findings_is_bounded() {
        let side = |symbols: &str, others: usize| {
            let list = r#"{"name":"f0","type":{"type":"enum","name":"E","symbols":["#;
            let others = (1..others).map(|at| format!(r#",{{"name":"f{at}","type":"E"}}"#));
            record(&format!(
                "{list}{symbols}]}}}}{}",
                others.collect::<String>()
            ))
        };
        let many: Vec<_> = (0..10_000).map(|at| format!("\"S{at:0>8}\"")).collect();
        let old = side(&many.join(","), 60);
        let messages = messages_of(CompatibilityLevel::Backward, &side("\"A\"", 60), &old);
        let last = messages
            .iter()
            .position(|message| message.starts_with("and "));
        let listed = last.expect("some findings are only counted");
        assert_eq!(messages[listed], format!("and {} more", 60 - listed));
        let cut = "S00005956, S0000595... and 44464 bytes more'}";
        assert!(
            messages[0].ends_with(cut),
            "{}",
            &messages[0][messages[0].len() - 80..]
        );
        let bytes: usize = messages.iter().map(String::len).sum();
        assert!(bytes < FINDINGS_BYTES_MAX + 4 * INFO_BYTES_MAX, "{bytes}");

        let few = messages_of(
            CompatibilityLevel::Backward,
            &side("\"A\"", 2),
            &side("\"B\"", 2),
        );
        assert_eq!(few.len(), 5, "{few:?}");
    }

    #[test]
    fn comparison_stops_at_first_incompatible_version() {
        let new = Resolved::avro("\"int\"");
        let earlier = ["\"int\"", "\"string\"", "\"boolean\""]
            .into_iter()
            .zip([3, 2, 1]);
        let earlier: Vec<_> = earlier
            .map(|(text, version)| Earlier {
                version: Version::new(version).unwrap(),
                resolved: Resolved::avro(text),
            })
            .collect();
        let level = CompatibilityLevel::BackwardTransitive;
        let parsed = new.parse().unwrap();
        let messages = incompatibilities(&at(level), &parsed, &new.content, earlier)
            .unwrap()
            .messages;
        assert!(
            messages.contains(&"{oldSchemaVersion: 2}".to_owned()),
            "{messages:?}"
        );
        assert_eq!(messages.len(), 4);
    }

    // Conformance: registry/v1-1
    #[test]
    fn findings_have_both_locations_and_suggestion() {
        let new = Resolved::avro(&record(
            r#"{"name":"a","type":"int"},{"name":"b","type":"int"}"#,
        ));
        let old = Resolved::avro(&record(r#"{"name":"a","type":"string"}"#));
        let earlier = Earlier {
            version: Version::new(4).unwrap(),
            resolved: old.clone(),
        };
        let config = at(CompatibilityLevel::Full);
        let parsed = new.parse().unwrap();
        let found = incompatibilities(&config, &parsed, &new.content, vec![earlier])
            .unwrap()
            .findings;
        let places: Vec<_> = found
            .iter()
            .map(|finding| {
                let new = &new.content.text[finding.new.start..finding.new.end];
                let old = &old.content.text[finding.old.start..finding.old.end];
                (finding.direction.as_str(), finding.kind.as_str(), new, old)
            })
            .collect();
        let whole = old.content.text.as_str();
        let expected = [
            ("FORWARD", "TYPE_MISMATCH", r#""int""#, r#""string""#),
            ("BACKWARD", "TYPE_MISMATCH", r#""int""#, r#""string""#),
            (
                "BACKWARD",
                "READER_FIELD_MISSING_DEFAULT_VALUE",
                r#"{"name":"b","type":"int"}"#,
                whole,
            ),
        ];
        assert_eq!(places, expected);
        assert!(
            found[2].suggestion.contains("default"),
            "{}",
            found[2].suggestion
        );
    }

    // Conformance: registry/v1-1
    #[test]
    fn schema_without_any_default_is_named() {
        let field =
            |name: &str, default: &str| format!(r#"{{"name":"{name}","type":"int"{default}}}"#);
        let old = record(&field("a", ""));
        let backward = |new: &str| messages_of(CompatibilityLevel::Backward, new, &old);
        let dropped = record(&[field("a", ""), field("b", "")].join(","));
        let messages = backward(&dropped);
        assert_eq!(messages[messages.len() - 2], NO_DEFAULTS);
        let some = record(&[field("a", r#","default":1"#), field("b", "")].join(","));
        assert!(!backward(&some).iter().any(|message| message == NO_DEFAULTS));
        let forward = messages_of(CompatibilityLevel::Forward, &old, &dropped);
        assert!(!forward.is_empty() && !forward.iter().any(|message| message == NO_DEFAULTS));
        let other = backward("\"int\"");
        assert!(!other.is_empty() && !other.iter().any(|message| message == NO_DEFAULTS));
    }

    // Conformance: registry/rule-7
    #[test]
    fn reserved_fields_are_neither_used_nor_released() {
        let mut config = at(CompatibilityLevel::None);
        config.properties.validate_fields = Some(true);
        let reserving = |text: &str, names: &str| {
            let mut resolved = Resolved::avro(text);
            let json = format!(r#"{{"properties":{{"confluent:reserved":"{names}"}}}}"#);
            resolved.content.metadata = serde_json::from_str(&json).unwrap();
            resolved
        };
        let new = reserving(&record(r#"{"name":"a","type":"int"}"#), "a");
        let earlier = Earlier {
            version: Version::FIRST,
            resolved: reserving(&record(""), "a, b"),
        };
        let parsed = new.parse().unwrap();
        let messages = incompatibilities(&config, &parsed, &new.content, vec![earlier])
            .unwrap()
            .messages;
        let expected = [
            "The new schema has reserved field b removed from its metadata which is present in \
             the old schema's metadata.",
            "The new schema has field that conflicts with the reserved field a.",
            "{validateFields: 'true', compatibility: 'NONE'}",
        ];
        assert_eq!(messages, expected);
        assert_eq!(versions_to_read(&config), Some(1));
    }
}
