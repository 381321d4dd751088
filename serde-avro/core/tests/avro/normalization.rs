//! Normalized schemas against Confluent's.

use avouch_avro::{Limits, Schema};
use serde_json::Value;

/// Confluent's string of each input; on an intended difference, `differs` describes it.
const GIVEN: &str = include_str!("../data/normalized.jsonl");

struct Row {
    input: String,
    confluent: String,
    differs: bool,
}

fn rows() -> impl Iterator<Item = Row> {
    GIVEN.lines().map(|line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        Row {
            input: text("input"),
            confluent: text("normalized"),
            differs: row["differs"].is_string(),
        }
    })
}

// Conformance: avro/2b
#[test]
fn schemas_normalize_as_in_confluent() {
    let mut wrong = Vec::new();
    for row in rows() {
        let found = Schema::parse(&row.input).unwrap().to_normalized_string();
        if (found != row.confluent) != row.differs {
            let Row {
                input, confluent, ..
            } = row;
            wrong.push(format!(
                "{input}\n  confluent {confluent}\n  found     {found}"
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

// Conformance: avro/2b
#[test]
fn normalization_is_idempotent_and_keeps_meaning() {
    // Java prints an alias without namespace by its simple name, which parses as another alias.
    for Row { input, .. } in rows().filter(|row| !row.input.contains("\".C\"")) {
        let schema = Schema::parse(&input).unwrap();
        let text = schema.to_normalized_string();
        let again = Schema::parse(&text).unwrap();
        assert_eq!(again.to_normalized_string(), text, "{input}");
        assert_eq!(again.to_string(), text, "{input}");
        assert_eq!(
            again.parsing_canonical_form(),
            schema.parsing_canonical_form(),
            "{input}"
        );
    }
}

// Conformance: avro/1g
#[test]
fn normalized_references_print_as_names() {
    let id = Schema::parse(r#"{"type":"fixed","name":"a.Id","size":16}"#).unwrap();
    let text = r#"{"type":"record","name":"a.R","fields":[{"name":"id","type":"Id"}]}"#;
    let schema = Schema::parse_with(text, &[id], &Limits::default()).unwrap();
    let head = r#"{"type":"record","name":"R","namespace":"a","fields":[{"name":"id","type":"#;
    assert_eq!(schema.to_normalized_string(), format!(r#"{head}"Id"}}]}}"#));
    let inside = r#"{"type":"fixed","name":"Id","size":16}"#;
    assert_eq!(schema.to_string(), format!("{head}{inside}}}]}}"));
}
