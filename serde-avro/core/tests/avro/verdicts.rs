//! The validator against the decoders of Java and of fastavro, on committed data.
//!
//! `data/verdicts/schemas.jsonl` is written by hand; `data.jsonl` beside it holds seeded data with
//! the verdicts of both. Where we differ from one, a named reason must explain it; `oracle/`
//! tells how to make the rows again.

use crate::logical_types::{DATES, TIMES, UUIDS, beyond_fastavro};
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

/// Why we refuse what an oracle accepts.
const CARELESS: [(Oracle, Reason, &str); 12] = [
    (
        Oracle::Java,
        Reason::BadBool,
        "takes any byte but 1 for false",
    ),
    (Oracle::Java, Reason::BadUtf8, "replaces what is no UTF-8"),
    (
        Oracle::Java,
        Reason::BadBlock,
        "doesn't look at the size of a block",
    ),
    (
        Oracle::Java,
        Reason::BadVarint,
        "drops the bits of a long or int beyond its width",
    ),
    (
        Oracle::Java,
        Reason::TooDeep,
        "goes as deep as its thread's stack",
    ),
    (
        Oracle::Fastavro,
        Reason::BadBool,
        "takes any byte but 0 for true",
    ),
    (
        Oracle::Fastavro,
        Reason::BadBlock,
        "doesn't look at the size of a block",
    ),
    (
        Oracle::Fastavro,
        Reason::BadVarint,
        "takes varints of any length",
    ),
    (
        Oracle::Fastavro,
        Reason::BadEnum,
        "counts an index below zero from the end",
    ),
    (
        Oracle::Fastavro,
        Reason::BadUnion,
        "counts an index below zero from the end",
    ),
    (
        Oracle::Fastavro,
        Reason::TooComplex,
        "has no limit to the items",
    ),
    (
        Oracle::Fastavro,
        Reason::TooDeep,
        "goes as deep as Python's stack",
    ),
];

/// Why fastavro refuses what we accept: it makes values of logical types.
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

/// The reasons for a difference; none if there is no such difference on purpose.
fn explained(
    oracle: Oracle,
    schema: &Schema,
    datum: &[u8],
    ours: &Result<(), Fault>,
) -> BTreeSet<&'static str> {
    match ours {
        Err(fault) => {
            let row = CARELESS
                .iter()
                .find(|row| row.0 == oracle && row.1 == fault.reason);
            row.map(|row| row.2).into_iter().collect()
        }
        Ok(()) if oracle == Oracle::Fastavro => beyond_fastavro(schema, datum),
        Ok(()) => BTreeSet::new(),
    }
}

// Conformance: main-job/8e, validator/1b, validator/s8
#[test]
fn every_difference_from_java_and_fastavro_has_a_named_reason() {
    let schemas = schemas();
    let validators: Vec<_> = schemas
        .iter()
        .map(|(schema, _)| Validator::compile(schema).unwrap())
        .collect();
    let mut unexplained = Vec::new();
    let mut used = BTreeMap::<_, usize>::new();
    for row in rows() {
        let (schema, _) = &schemas[row.schema];
        let ours = validators[row.schema].validate(&row.datum);
        for (oracle, verdict) in [(Oracle::Java, &row.java), (Oracle::Fastavro, &row.fastavro)] {
            if (verdict == "accept") == ours.is_ok() {
                continue;
            }
            let reasons = explained(oracle, schema, &row.datum, &ours);
            if reasons.is_empty() {
                unexplained.push(format!(
                    "{oracle:?} {verdict}, ours {ours:?}: {} {:02x?}",
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
    let mut reasons: BTreeSet<_> = CARELESS.iter().map(|row| (row.0, row.2)).collect();
    reasons.extend(LOGICAL.map(|reason| (Oracle::Fastavro, reason)));
    let unused: Vec<_> = reasons
        .iter()
        .filter(|reason| !used.contains_key(reason))
        .collect();
    assert!(unused.is_empty(), "no row needs {unused:?}; used {used:?}");
}

/// Every logical type of Java's has its rows, and what is said of fastavro's is so of each row.
// Conformance: validator/s8
#[test]
fn logical_types_are_not_checked_and_fastavro_refuses_what_it_has_no_value_for() {
    let schemas = schemas();
    let mut seen = BTreeSet::new();
    for row in rows() {
        let (schema, _) = &schemas[row.schema];
        seen.extend(schema.node(schema.root()).logical_type());
        let validator = Validator::compile(schema).unwrap();
        if validator.validate(&row.datum).is_ok() {
            let is_beyond = !beyond_fastavro(schema, &row.datum).is_empty();
            let text = schema.source();
            assert!(
                !is_beyond || row.fastavro == "refuse",
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
fn the_rows_cover_every_schema_with_both_verdicts_of_all_three() {
    let rows = rows();
    let schemas = schemas();
    assert!(schemas.len() >= 60, "{}", schemas.len());
    for (index, (schema, _)) in schemas.iter().enumerate() {
        let count = rows.iter().filter(|row| row.schema == index).count();
        assert!(count >= 2, "{}", schema.source());
    }
    for verdict in ["accept", "refuse"] {
        assert!(rows.iter().filter(|row| row.java == verdict).count() > 500);
        assert!(rows.iter().filter(|row| row.fastavro == verdict).count() > 500);
    }
}

/// Writes the rows without verdicts, for the oracles to fill in.
#[test]
#[ignore = "writes the inputs of the oracles; see oracle/README.md"]
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
