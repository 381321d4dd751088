//! The validator against the decoders of Java and fastavro, on committed data.
//!
//! `data/verdicts/schemas.jsonl` is written by hand; `data.jsonl` has random data with the verdicts
//! of both decoders. Every difference must have a named reason. `oracle/README.md` describes how to
//! generate the rows.

use crate::logical_types::{DATES, TIMES, UUIDS, unsupported_by_fastavro};
use avouch_avro::Schema;
use avouch_avro::validator::{Fault, Reason, Validator};
use avouch_avro_testing::{self as testing, Random};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const SCHEMAS: &str = include_str!("../data/verdicts/schemas.jsonl");

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Oracle {
    Java,
    Fastavro,
}

/// The reasons for data that an oracle accepts and the validator rejects.
const LENIENT: [(Oracle, Reason, &str); 12] = [
    (
        Oracle::Java,
        Reason::BadBool,
        "reads any byte except 1 as false",
    ),
    (Oracle::Java, Reason::BadUtf8, "replaces invalid UTF-8"),
    (
        Oracle::Java,
        Reason::BadBlock,
        "ignores the size of a block",
    ),
    (
        Oracle::Java,
        Reason::BadVarint,
        "drops the bits beyond the width of an int or long",
    ),
    (
        Oracle::Java,
        Reason::TooDeep,
        "nests up to the size of its thread's stack",
    ),
    (
        Oracle::Fastavro,
        Reason::BadBool,
        "reads any byte except 0 as true",
    ),
    (
        Oracle::Fastavro,
        Reason::BadBlock,
        "ignores the size of a block",
    ),
    (
        Oracle::Fastavro,
        Reason::BadVarint,
        "accepts varints of any length",
    ),
    (
        Oracle::Fastavro,
        Reason::BadEnum,
        "counts a negative index from the end",
    ),
    (
        Oracle::Fastavro,
        Reason::BadUnion,
        "counts a negative index from the end",
    ),
    (
        Oracle::Fastavro,
        Reason::TooComplex,
        "has no limit on items",
    ),
    (
        Oracle::Fastavro,
        Reason::TooDeep,
        "nests up to the size of Python's stack",
    ),
];

/// The reasons for data that fastavro rejects and the validator accepts: fastavro decodes logical
/// types.
const LOGICAL: [&str; 3] = [DATES, TIMES, UUIDS];

pub(crate) struct Row {
    pub(crate) schema: usize,
    pub(crate) datum: Vec<u8>,
    pub(crate) java: String,
    pub(crate) fastavro: String,
}

pub(crate) fn schemas() -> Vec<(Schema, Vec<Vec<u8>>)> {
    let parse = |line| {
        let row: Value = serde_json::from_str(line).unwrap();
        let extra = row["extra"].as_array().unwrap().iter();
        let extra = extra
            .map(|datum| from_hex(datum.as_str().unwrap()))
            .collect();
        (Schema::parse(&row["schema"].to_string()).unwrap(), extra)
    };
    SCHEMAS.lines().map(parse).collect()
}

pub(crate) fn rows() -> Vec<Row> {
    let parse = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        Row {
            schema: usize::try_from(row["schema"].as_u64().unwrap()).unwrap(),
            datum: from_hex(row["datum"].as_str().unwrap()),
            java: row["java"].as_str().unwrap().to_owned(),
            fastavro: row["fastavro"].as_str().unwrap().to_owned(),
        }
    };
    include_str!("../data/verdicts/data.jsonl")
        .lines()
        .map(parse)
        .collect()
}

/// Returns the reasons for a difference, none if it is not intended.
fn explained(
    oracle: Oracle,
    schema: &Schema,
    datum: &[u8],
    outcome: &Result<(), Fault>,
) -> BTreeSet<&'static str> {
    match outcome {
        Err(fault) => {
            let row = LENIENT
                .iter()
                .find(|row| row.0 == oracle && row.1 == fault.reason);
            row.map(|row| row.2).into_iter().collect()
        }
        Ok(()) if oracle == Oracle::Fastavro => unsupported_by_fastavro(schema, datum),
        Ok(()) => BTreeSet::new(),
    }
}

// Conformance: main-job/8e, validator/1b, validator/s8
#[test]
fn differences_have_a_named_reason() {
    let schemas = schemas();
    let validators: Vec<_> = schemas
        .iter()
        .map(|(schema, _)| Validator::compile(schema).unwrap())
        .collect();
    let mut unexplained = Vec::new();
    let mut used = BTreeMap::<_, usize>::new();
    for row in rows() {
        let (schema, _) = &schemas[row.schema];
        let outcome = validators[row.schema].validate(&row.datum);
        for (oracle, verdict) in [(Oracle::Java, &row.java), (Oracle::Fastavro, &row.fastavro)] {
            if (verdict == "accept") == outcome.is_ok() {
                continue;
            }
            let reasons = explained(oracle, schema, &row.datum, &outcome);
            if reasons.is_empty() {
                unexplained.push(format!(
                    "{oracle:?} {verdict}, validator {outcome:?}: {} {:02x?}",
                    schema.source(),
                    row.datum
                ));
            }
            for reason in reasons {
                *used.entry((oracle, reason)).or_default() += 1;
            }
        }
    }
    let count = unexplained.len();
    assert!(
        unexplained.is_empty(),
        "{count} unexplained:\n{}",
        unexplained.join("\n")
    );
    let mut reasons: BTreeSet<_> = LENIENT.iter().map(|row| (row.0, row.2)).collect();
    reasons.extend(LOGICAL.map(|reason| (Oracle::Fastavro, reason)));
    let unused: Vec<_> = reasons
        .iter()
        .filter(|reason| !used.contains_key(reason))
        .collect();
    assert!(unused.is_empty(), "no row needs {unused:?}; used {used:?}");
}

/// Every logical type of Java has rows, and fastavro rejects every row with an unsupported value.
// Conformance: validator/s8
#[test]
fn logical_types_are_not_checked() {
    let schemas = schemas();
    let mut seen = BTreeSet::new();
    for row in rows() {
        let (schema, _) = &schemas[row.schema];
        seen.extend(schema.node(schema.root()).logical_type());
        let validator = Validator::compile(schema).unwrap();
        if validator.validate(&row.datum).is_ok() {
            let is_unsupported = !unsupported_by_fastavro(schema, &row.datum).is_empty();
            let text = schema.source();
            assert!(
                !is_unsupported || row.fastavro == "reject",
                "{text} {:02x?}",
                row.datum
            );
        }
    }
    let types = [
        "big-decimal",
        "date",
        "decimal",
        "duration",
        "local-timestamp-micros",
        "local-timestamp-millis",
        "local-timestamp-nanos",
        "no-such-type",
        "time-micros",
        "time-millis",
        "timestamp-micros",
        "timestamp-millis",
        "timestamp-nanos",
        "uuid",
    ];
    assert_eq!(seen, BTreeSet::from(types));
}

// Conformance: main-job/8e, validator/1b
#[test]
fn rows_cover_every_schema_and_verdict() {
    let rows = rows();
    let schemas = schemas();
    assert!(schemas.len() >= 60, "{}", schemas.len());
    for (index, (schema, _)) in schemas.iter().enumerate() {
        let count = rows.iter().filter(|row| row.schema == index).count();
        assert!(count >= 2, "{}", schema.source());
    }
    for verdict in ["accept", "reject"] {
        assert!(rows.iter().filter(|row| row.java == verdict).count() > 500);
        assert!(rows.iter().filter(|row| row.fastavro == verdict).count() > 500);
    }
}

/// Writes the rows without verdicts, which the oracles add.
#[test]
#[ignore = "writes the input of the oracles; see oracle/README.md"]
fn write_inputs() {
    let mut out = String::new();
    for (index, (schema, extra)) in schemas().into_iter().enumerate() {
        let random = &mut Random::new(20_261_122 + index as u64);
        let mut data = BTreeSet::from_iter(extra);
        for _ in 0..8 {
            let valid = testing::datum(random, &schema);
            data.extend((0..5).map(|_| testing::mutate(random, &valid)));
            data.insert(valid[..random.below(valid.len() + 1)].to_vec());
            data.insert(valid);
        }
        for datum in data.into_iter().filter(|datum| datum.len() <= 3_001) {
            let hex: String = datum.iter().map(|byte| format!("{byte:02x}")).collect();
            out.push_str(&json!({"schema": index, "datum": hex}).to_string());
            out.push('\n');
        }
    }
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/data/verdicts/data.jsonl"
    );
    std::fs::write(path, out).unwrap();
}

pub(crate) fn from_hex(text: &str) -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().chunks(2).map(byte).collect()
}
