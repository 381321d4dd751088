//! Semantic equality of two schemas, and the differences between them.

use avouch_avro::{Schema, diff};

use crate::decide::content::{Content, Parsed, Resolved};

/// Maximum number of differences in one response.
const DIFFERENCES_MAX: usize = 50;
/// Maximum length of one difference in a response, in bytes.
const DIFFERENCE_BYTES_MAX: usize = 1_024;

/// Returns true if the new schema has the same meaning as the old one, whose metadata and rules are
/// equal already. The order of aliases and properties is irrelevant, and a schema without
/// references may contain the types that the old one references.
pub(crate) fn same_meaning(new: &Content, new_parsed: &Parsed, old: &Resolved) -> bool {
    if new.schema_type != old.content.schema_type {
        return false;
    }
    // An import may have stored a schema that cannot be parsed; it equals no other.
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
    // The string of a resolved schema contains the referenced types.
    let inlined = Schema::parse(&old_schema.to_string());
    inlined.is_ok_and(|old| new_schema.to_normalized_string() == old.to_normalized_string())
}

/// Returns the differences between the new and the old schema, one sentence each; at least one.
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
        match diff::first(&old, new, DIFFERENCES_MAX) {
            Ok(changes) => {
                differences.extend(changes.iter().map(ToString::to_string).map(truncated));
            }
            Err(error) => differences.push(error.to_string()),
        }
    }
    // Schemas with the same meaning can still differ in text, such as the order of properties.
    if differences.is_empty() {
        differences.push(first_difference(&new.text, &old_content.text));
    }
    differences.truncate(DIFFERENCES_MAX);
    differences
}

fn truncated(mut difference: String) -> String {
    if difference.len() > DIFFERENCE_BYTES_MAX {
        difference.truncate(difference.floor_char_boundary(DIFFERENCE_BYTES_MAX));
        difference.push_str("...");
    }
    difference
}

/// Returns the position of the first difference between two texts with the same meaning.
fn first_difference(new: &str, old: &str) -> String {
    const SHOWN_CHARS: usize = 40;
    let same = new
        .chars()
        .zip(old.chars())
        .take_while(|(new, old)| new == old);
    let at = same.count();
    let rest = |text: &str| text.chars().skip(at).take(SHOWN_CHARS).collect::<String>();
    let (new, old) = (rest(new), rest(old));
    format!("the texts differ at character {at}: `{new}`, where the version has `{old}`")
}

#[cfg(test)]
mod tests {

    use super::*;

    fn record(inner: &str) -> String {
        format!(r#"{{"type":"record","name":"R","fields":[{inner}]}}"#)
    }

    // Conformance: avro/4b
    #[test]
    fn number_and_length_of_differences_are_bounded() {
        let symbols: Vec<_> = (0..1_000).map(|at| format!(r#""S{at}""#)).collect();
        let enumeration = |symbols: &str| {
            format!(r#"{{"name":"e","type":{{"type":"enum","name":"E","symbols":[{symbols}]}}}}"#)
        };
        let fields = |kind: &str| {
            let field = |at| format!(r#",{{"name":"f{at}","type":"{kind}"}}"#);
            (0..100).map(field).collect::<String>()
        };
        let new = Resolved::avro(&record(
            &(enumeration(&symbols.join(",")) + &fields("long")),
        ));
        let old = Resolved::avro(&record(&(enumeration("\"S0\"") + &fields("int"))));
        let differences = distance(&new.content, &new.parse().unwrap(), &old);
        assert_eq!(differences.len(), DIFFERENCES_MAX);
        assert!(
            differences[0].starts_with("/e: symbols S1, S2") && differences[0].ends_with("...")
        );
        assert!(
            differences[0].len() < DIFFERENCE_BYTES_MAX + 4,
            "{}",
            differences[0]
        );
    }

    /// New, old, expected equality, and the start of the first difference.
    // Conformance: registry/rule-2
    #[test]
    fn order_of_properties_is_no_difference() {
        let table = [
            (
                r#"{"name":"a","type":"int","x":1,"y":2}"#,
                r#"{"name":"a","type":"int","y":2,"x":1}"#,
                true,
                "the texts differ at character",
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
                "/a: type changed from int to long",
            ),
        ];
        for (new, old, same, first) in table {
            let (new, old) = (Resolved::avro(&record(new)), Resolved::avro(&record(old)));
            let parsed = new.parse().unwrap();
            assert_eq!(same_meaning(&new.content, &parsed, &old), same, "{first}");
            let differences = distance(&new.content, &parsed, &old);
            assert!(differences[0].starts_with(first), "{differences:?}");
        }
    }
}
