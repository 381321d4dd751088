//! Schema texts against what Java's strict parser makes of them.

use avouch_avro::Schema;
use avouch_avro::validator::Validator;
use avouch_avro_testing::{self as testing, Random};
use serde_json::Value;

/// Schema texts with the verdict and the canonical text of Java (Avro 1.13 line).
const GIVEN: &str = include_str!("../data/canonical.jsonl");
/// Around the corners of the grammar, with Parsing Canonical Form and fingerprint (Avro 1.12.1).
const CORNERS: &str = include_str!("../data/canonical-corners.jsonl");

/// What tells a row of the corners on which we differ, and why.
const DIFFERENT: [(&str, &str); 4] = [
    (
        "1e23",
        "doubles print as since JDK 19; JDK 17 made this one 9.999999999999999E22",
    ),
    ("\\ud800", "no UTF-8 text can hold half a surrogate pair"),
    ("\\udc00x", "no UTF-8 text can hold half a surrogate pair"),
    ("\"0x", "a hexadecimal default in a string is refused"),
];

struct Row {
    input: String,
    java: Value,
}

fn rows(text: &str) -> Vec<Row> {
    let parse = |line| {
        let java: Value = serde_json::from_str(line).unwrap();
        Row {
            input: java["input"].as_str().unwrap().to_owned(),
            java,
        }
    };
    text.lines().map(parse).collect()
}

/// The rows on which we do not differ on purpose.
fn all_rows() -> Vec<Row> {
    let different = |row: &Row| DIFFERENT.iter().any(|(mark, _)| row.input.contains(mark));
    let corners = rows(CORNERS).into_iter().filter(|row| !different(row));
    rows(GIVEN).into_iter().chain(corners).collect()
}

// Conformance: avro/1a, avro/2a
#[test]
fn every_text_is_taken_or_refused_and_printed_as_java_does() {
    let mut wrong = Vec::new();
    for Row { input, java } in all_rows() {
        let found = Schema::parse(&input).map(|schema| schema.to_string());
        if found.as_deref().ok() != java["canonical"].as_str() {
            wrong.push(format!("{input}\n  java {java}\n  found {found:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

// Conformance: avro/1a
#[test]
fn every_difference_is_one() {
    for (mark, why) in DIFFERENT {
        let differs = rows(CORNERS).into_iter().any(|Row { input, java }| {
            let found = Schema::parse(&input).map(|schema| schema.to_string());
            input.contains(mark) && found.as_deref().ok() != java["canonical"].as_str()
        });
        assert!(differs, "{mark}: {why}");
    }
}

// Conformance: avro/2a
#[test]
fn canonical_text_is_its_own_canonical_text() {
    for Row { input, .. } in all_rows() {
        let Ok(schema) = Schema::parse(&input) else {
            continue;
        };
        let text = schema.to_string();
        assert_eq!(Schema::parse(&text).unwrap().to_string(), text);
    }
}

// Conformance: avro/2c
#[test]
fn parsing_canonical_forms_and_fingerprints_equal_javas() {
    let mut seen = 0;
    for Row { input, java } in all_rows() {
        let Some(form) = java["pcf"].as_str() else {
            continue;
        };
        let schema = Schema::parse(&input).unwrap();
        assert_eq!(schema.parsing_canonical_form(), form, "{input}");
        assert_eq!(
            format!("{:x}", schema.rabin_fingerprint()),
            java["rabin"].as_str().unwrap()
        );
        seen += 1;
    }
    assert!(seen > 200, "{seen}");
}

// Conformance: avro/5f
#[test]
fn texts_with_something_changed_end_in_an_error_or_in_a_schema_that_prints_as_one() {
    let mut taken = 0;
    for (seed, Row { input, .. }) in (0..).zip(all_rows()) {
        let random = &mut Random::new(seed);
        for _ in 0..6 {
            let bytes = testing::mutate(random, input.as_bytes());
            let text = String::from_utf8_lossy(&bytes);
            let Ok(schema) = Schema::parse(&text) else {
                continue;
            };
            let canonical = schema.to_string();
            assert_eq!(
                Schema::parse(&canonical).unwrap().to_string(),
                canonical,
                "{text}"
            );
            assert!(Validator::compile(&schema).is_ok());
            let own = schema.can_read(&schema);
            assert!(own.is_ok_and(|own| own.is_compatible()), "{text}");
            taken += 1;
        }
    }
    assert!(taken > 150, "{taken}");
}
