//! Pairs of schemas against Java's `SchemaCompatibility`.

use avouch_avro::Schema;
use avouch_avro::compatibility::{CheckError, Compatibility, Incompatibility};
use serde_json::{Value, json};

/// Pairs with result and findings of Java (Avro 1.13 line).
const GIVEN: &str = include_str!("../data/compatibility.jsonl");
/// Pairs in which types are used several times and findings are repeated (Avro 1.12.1).
const MORE: &str = include_str!("../data/compatibility-more.jsonl");

fn schema(value: &Value) -> Schema {
    Schema::parse(&value.to_string()).unwrap()
}

fn as_java(outcome: Result<Compatibility, CheckError>) -> Value {
    let finding = |found: &Incompatibility| {
        let Incompatibility {
            kind, path, info, ..
        } = found;
        json!({"type": kind.as_str(), "path": **path, "info": **info})
    };
    match outcome {
        Ok(found) if found.is_compatible() => {
            json!({"verdict": "compatible", "incompatibilities": []})
        }
        Ok(found) => {
            let found: Vec<_> = found.findings().iter().map(finding).collect();
            json!({"verdict": "incompatible", "incompatibilities": found})
        }
        Err(error) => json!({"verdict": "error", "message": error.to_string()}),
    }
}

// Conformance: avro/3a
#[test]
fn findings_equal_those_of_java() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for line in GIVEN.lines().chain(MORE.lines()) {
        let row: Value = serde_json::from_str(line).unwrap();
        let found = as_java(schema(&row["reader"]).can_read(&schema(&row["writer"])));
        let same = found
            .as_object()
            .unwrap()
            .iter()
            .all(|(key, value)| row[key] == *value);
        if !same {
            wrong.push(format!("{row}\n  found {found}"));
        }
        seen += 1;
    }
    assert_eq!(seen, 722 + MORE.lines().count());
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

// Conformance: avro/3a
#[test]
fn schemas_read_their_own_data() {
    for line in GIVEN.lines().chain(MORE.lines()) {
        let row: Value = serde_json::from_str(line).unwrap();
        for side in ["reader", "writer"] {
            let schema = schema(&row[side]);
            let own = schema.can_read(&schema);
            let ambiguous = matches!(own, Err(CheckError::AmbiguousAlias { .. }));
            let compatible = own.as_ref().is_ok_and(Compatibility::is_compatible);
            assert!(ambiguous || compatible, "{}: {own:?}", row[side]);
        }
    }
}

// Conformance: avro/3e
#[test]
fn large_records_are_within_the_budget() {
    let record = |kind: &str| {
        let fields: Vec<_> = (0..5_000)
            .map(|at| json!({"name": format!("f{at}"), "type": kind}))
            .collect();
        schema(&json!({"type": "record", "name": "R", "fields": fields}))
    };
    let findings = |reader, writer| {
        let compatibility = record(reader).can_read(&record(writer)).unwrap();
        compatibility.findings().len()
    };
    assert_eq!(findings("long", "int"), 0);
    assert_eq!(findings("int", "long"), 5_000);
}

const PAYMENTS: [&str; 2] = [
    include_str!("../../../../schemas/payments-value/1.avsc"),
    include_str!("../../../../schemas/payments-value/2.avsc"),
];
const PAYMENTS_INCOMPATIBLE: &str =
    include_str!("../../../../tests/data/payments-incompatible.avsc");

#[test]
fn payments_versions_are_compatible() {
    let [first, second] = PAYMENTS.map(|text| Schema::parse(text).unwrap());
    assert!(second.can_read(&first).unwrap().is_compatible());
    let incompatible = Schema::parse(PAYMENTS_INCOMPATIBLE).unwrap();
    for older in [first, second] {
        let found = as_java(incompatible.can_read(&older));
        assert_eq!(
            found["incompatibilities"],
            json!([{
                "type": "READER_FIELD_MISSING_DEFAULT_VALUE",
                "path": "/fields/10",
                "info": "merchantCategory"
            }])
        );
    }
}
