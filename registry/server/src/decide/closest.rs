//! When two schemas mean the same, and in what they differ when they do not.

use avouch_avro::{Schema, diff};

use crate::decide::content::{Content, Parsed, Resolved};

/// Differences that one answer tells.
const MAX_TOLD: usize = 50;
/// Bytes of one difference that are told.
const TOLD_BYTES_MAX: usize = 1_024;

/// Whether the schema may be taken for the old one, whose metadata and rules are equal already:
/// orders of aliases and properties do not count, and a schema without references may have those
/// of the old one written out.
pub(crate) fn same_meaning(new: &Content, new_parsed: &Parsed, old: &Resolved) -> bool {
    if new.schema_type != old.content.schema_type {
        return false;
    }
    let Ok(Parsed::Avro(old_schema)) = old.parse() else {
        return false;
    };
    let Parsed::Avro(new_schema) = new_parsed else {
        return false;
    };
    if new.references == old.content.references {
        return new_schema.to_normalized_string() == old_schema.to_normalized_string();
    }
    if !new.references.is_empty() {
        return false;
    }
    let written_out = Schema::parse(&old_schema.to_string());
    written_out.is_ok_and(|old| new_schema.to_normalized_string() == old.to_normalized_string())
}

/// In what the new schema differs from the old one, a sentence each; never empty.
pub(crate) fn distance(new: &Content, new_parsed: &Parsed, old: &Resolved) -> Vec<String> {
    let mut differences = Vec::new();
    let old_content = &old.content;
    if new.schema_type != old_content.schema_type {
        let (new, old) = (new.schema_type, old_content.schema_type);
        differences.push(format!("the schema is {new}, the version is {old}"));
    }
    if new.references != old_content.references {
        differences.push("the references differ".to_owned());
    }
    if new.metadata != old_content.metadata {
        differences.push("the metadata differ".to_owned());
    }
    if new.rule_set != old_content.rule_set {
        differences.push("the rule sets differ".to_owned());
    }
    if let (Parsed::Avro(new), Ok(Parsed::Avro(old))) = (new_parsed, old.parse()) {
        match diff::first(&old, new, MAX_TOLD) {
            Ok(changes) => differences.extend(changes.iter().map(ToString::to_string).map(cut)),
            Err(error) => differences.push(error.to_string()),
        }
    }
    if differences.is_empty() {
        differences.push(first_difference(&new.text, &old_content.text));
    }
    differences.truncate(MAX_TOLD);
    differences
}

fn cut(mut difference: String) -> String {
    if difference.len() > TOLD_BYTES_MAX {
        difference.truncate(difference.floor_char_boundary(TOLD_BYTES_MAX));
        difference.push_str("...");
    }
    difference
}

/// Where two texts part, when their meanings do not.
fn first_difference(new: &str, old: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    let same = new
        .chars()
        .zip(old.chars())
        .take_while(|(new, old)| new == old);
    let at = same.count();
    let rest = |text: &str| text.chars().skip(at).take(SHOWN_CHARS).collect::<String>();
    let (new, old) = (rest(new), rest(old));
    format!("the texts part at character {at}: `{new}`, where the version has `{old}`")
}

#[cfg(test)]
mod tests {
    use avouch_registry_api::types::SchemaType;

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

    fn record(inner: &str) -> String {
        format!(r#"{{"type":"record","name":"R","fields":[{inner}]}}"#)
    }

    // Conformance: avro/4b
    #[test]
    fn an_answer_tells_so_many_differences_and_so_much_of_each() {
        let symbols: Vec<_> = (0..1_000).map(|at| format!(r#""S{at}""#)).collect();
        let enumeration = |symbols: &str| {
            format!(r#"{{"name":"e","type":{{"type":"enum","name":"E","symbols":[{symbols}]}}}}"#)
        };
        let fields = |kind: &str| {
            let field = |at| format!(r#",{{"name":"f{at}","type":"{kind}"}}"#);
            (0..100).map(field).collect::<String>()
        };
        let new = resolved(&record(
            &(enumeration(&symbols.join(",")) + &fields("long")),
        ));
        let old = resolved(&record(&(enumeration("\"S0\"") + &fields("int"))));
        let told = distance(&new.content, &new.parse().unwrap(), &old);
        assert_eq!(told.len(), MAX_TOLD);
        assert!(told[0].starts_with("/e: symbols S1, S2") && told[0].ends_with("..."));
        assert!(told[0].len() < TOLD_BYTES_MAX + 4, "{}", told[0]);
    }

    /// New, old, whether they mean the same, and the beginning of the first difference.
    // Conformance: registry/rule-2
    #[test]
    fn what_is_the_same_and_what_differs() {
        let table = [
            (
                r#"{"name":"a","type":"int","x":1,"y":2}"#,
                r#"{"name":"a","type":"int","y":2,"x":1}"#,
                true,
                "the texts part at character",
            ),
            (
                r#"{"name":"a","type":"int","doc":"x"}"#,
                r#"{"name":"a","type":"int"}"#,
                false,
                "/a",
            ),
            (
                r#"{"name":"a","type":"long"}"#,
                r#"{"name":"a","type":"int"}"#,
                false,
                "/a: int became long",
            ),
        ];
        for (new, old, same, told) in table {
            let (new, old) = (resolved(&record(new)), resolved(&record(old)));
            let parsed = new.parse().unwrap();
            assert_eq!(same_meaning(&new.content, &parsed, &old), same, "{told}");
            let differences = distance(&new.content, &parsed, &old);
            assert!(differences[0].starts_with(told), "{differences:?}");
        }
    }
}
