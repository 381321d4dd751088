//! Parsed and printed schemas against Java's strict parser.

use avouch_avro::Schema;
use avouch_avro::validator::Validator;
use avouch_avro_testing::{self as testing, Random};
use serde_json::Value;

/// Schemas with the result of Java and the string it prints (Avro 1.13 line).
const GIVEN: &str = include_str!("../data/canonical.jsonl");
/// Edge cases of the grammar, with Parsing Canonical Form and fingerprint (Avro 1.12.1).
const CORNERS: &str = include_str!("../data/canonical-corners.jsonl");

/// Substrings of the edge cases on which the results differ on purpose, with the reason.
const DIFFERENT: [(&str, &str); 4] = [
    (
        "1e23",
        "doubles print as since JDK 19; JDK 17 printed 9.999999999999999E22",
    ),
    ("\\ud800", "UTF-8 cannot represent an unpaired surrogate"),
    ("\\udc00x", "UTF-8 cannot represent an unpaired surrogate"),
    (
        "\"0x",
        "a default that is a string with a hexadecimal number is rejected",
    ),
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

/// Returns the rows without intended differences.
fn all_rows() -> Vec<Row> {
    let different = |row: &Row| DIFFERENT.iter().any(|(mark, _)| row.input.contains(mark));
    let corners = rows(CORNERS).into_iter().filter(|row| !different(row));
    rows(GIVEN).into_iter().chain(corners).collect()
}

/// pyiceberg repeats the definition of the type of each uuid column. Java merges equal definitions;
/// printed again, the second one is a name, so parsers that reject a redefinition read it.
// Conformance: avro/1a
#[test]
fn equal_redefinition_is_printed_as_a_name() {
    let uuid = r#"{"type":"fixed","name":"uuid_fixed","size":16,"logicalType":"uuid"}"#;
    let table = |second: &str| {
        let fields = format!(r#"{{"name":"a","type":{uuid}}},{{"name":"b","type":{second}}}"#);
        format!(r#"{{"type":"record","name":"table","fields":[{fields}]}}"#)
    };
    let schema = Schema::parse(&table(uuid)).unwrap();
    assert_eq!(schema.to_string(), table(r#""uuid_fixed""#));
    assert_eq!(Schema::parse(&schema.to_string()).unwrap(), schema);
    for second in [
        uuid.replace("16", "17"),
        r#"{"type":"enum","name":"uuid_fixed","symbols":["A"]}"#.to_owned(),
    ] {
        let error = Schema::parse(&table(&second)).unwrap_err();
        assert!(
            error
                .message()
                .starts_with("duplicate definition of uuid_fixed"),
            "{error}"
        );
    }
}

/// Fingerprints of other libraries, as a number in hexadecimal, with `=` if they are those of the
/// specification. Their canonical forms differ for logical types: hamba keeps the logical types of
/// primitive types, and goavro keeps the type as an object.
const LIBRARY_FINGERPRINTS: &str = r#"
    = hamba 2.31.0 7275d51a3f395c8f "int"
    = goavro 2.15.0 7275d51a3f395c8f "int"
    ! hamba 2.31.0 f9171af064bdedf2 {"type":"int","logicalType":"date"}
    ! goavro 2.15.0 7109c7b83596bfad {"type":"int","logicalType":"date"}
    = hamba 2.31.0 e75a5f08f35a41f6 {"type":"fixed","name":"F","size":16,"logicalType":"uuid"}
    = goavro 2.15.0 e75a5f08f35a41f6 {"type":"fixed","name":"F","size":16,"logicalType":"uuid"}"#;

// Conformance: avro/2c
#[test]
fn fingerprints_of_libraries_are_known() {
    for line in LIBRARY_FINGERPRINTS.trim().lines() {
        let words: Vec<_> = line.trim().splitn(5, ' ').collect();
        let own = Schema::parse(words[4]).unwrap().rabin_fingerprint();
        let is_equal = format!("{own:016x}") == words[3];
        assert_eq!(is_equal, words[0] == "=", "{line}: {own:016x}");
    }
}

// Conformance: avro/1a, avro/2a
#[test]
fn schemas_parse_and_print_as_in_java() {
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
fn intended_differences_exist() {
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
fn printed_schemas_print_unchanged() {
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
fn canonical_forms_and_fingerprints_equal_java() {
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
fn mutated_schemas_fail_or_round_trip() {
    let mut accepted = 0;
    for (seed, Row { input, .. }) in (0..).zip(all_rows()) {
        let random = &mut Random::new(seed);
        for _ in 0..6 {
            let bytes = testing::mutate(random, input.as_bytes());
            let text = String::from_utf8_lossy(&bytes);
            let Ok(schema) = Schema::parse(&text) else {
                continue;
            };
            assert_eq!(schema.to_string().parse(), Ok(schema.clone()), "{text}");
            assert!(Validator::compile(&schema).is_ok());
            let own = schema.can_read(&schema);
            assert!(own.is_ok_and(|own| own.is_compatible()), "{text}");
            accepted += 1;
        }
    }
    assert!(accepted > 150, "{accepted}");
}
