//! Export of random pairs of schemas with results, for the comparison with other implementations.

use avouch_avro::Schema;
use avouch_avro::resolution::{Resolver, UnionRule};
use avouch_avro::validator::Budget;
use avouch_avro_testing::reference_decoder;
use avouch_avro_testing::{self as testing, Random};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};

/// The number of data per pair.
const DATA_PER_PAIR: usize = 3;

/// Writes `ORACLE_COUNT` pairs from the seed `ORACLE_SEED` to the file `ORACLE_PAIRS`. Called by
/// `tests/oracle/run`.
// Conformance: avro/5e
#[test]
#[ignore = "an input of tests/oracle/run"]
fn write_random_pairs() {
    let variable = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let seed: u64 = variable("ORACLE_SEED").parse().unwrap();
    let count: u64 = variable("ORACLE_COUNT").parse().unwrap();
    let file = std::fs::File::create(variable("ORACLE_PAIRS")).unwrap();
    let mut out = BufWriter::new(file);
    for index in 0..count {
        let random = &mut Random::new(seed.wrapping_add(index));
        let old = testing::schema(random);
        let new = testing::evolve(random, &old);
        let (reader, writer) = if index % 2 == 0 {
            (new, old)
        } else {
            (old, new)
        };
        let mut row = results(&reader, &writer);
        row["data"] = json!(data(random, &writer));
        writeln!(out, "{row}").unwrap();
    }
    out.flush().unwrap();
}

/// Writes at least `ORACLE_TRIPLES` data of random writers with random readers, each with what the
/// resolver makes of it under both rules, to the file `ORACLE_RESOLUTIONS`. Called by
/// `tests/oracle/run`.
// Conformance: codec/2i
#[test]
#[ignore = "an input of tests/oracle/run"]
fn write_resolutions() {
    let variable = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let seed: u64 = variable("ORACLE_SEED").parse().unwrap();
    let mut left: usize = variable("ORACLE_TRIPLES").parse().unwrap();
    let file = std::fs::File::create(variable("ORACLE_RESOLUTIONS")).unwrap();
    let mut out = BufWriter::new(file);
    // Other pairs than those of `write_random_pairs`.
    for index in 1_000_000.. {
        let random = &mut Random::new(seed.wrapping_add(index));
        let old = testing::schema(random);
        let new = testing::evolve(random, &old);
        let (reader, writer) = if index % 2 == 0 {
            (new, old)
        } else {
            (old, new)
        };
        // An ambiguous alias is an error in Java, too, but not for each datum.
        let compiled = [UnionRule::SameTypeFirst, UnionRule::FirstMatch]
            .map(|rule| Resolver::with(&writer, &reader, rule, Budget::default()));
        let [Ok(java), Ok(first)] = compiled else {
            continue;
        };
        let mut rows = Vec::new();
        for datum in data(random, &writer) {
            let bytes = from_hex(&datum);
            let [java, first] = [&java, &first].map(|resolver| resolution(resolver, &bytes));
            rows.push(json!({"datum": datum, "java": java, "first": first}));
        }
        left = left.saturating_sub(rows.len());
        let row = json!({
            "writer": writer.source(),
            "reader": reader.source(),
            "all": first.reads_all(),
            "data": rows,
        });
        writeln!(out, "{row}").unwrap();
        if left == 0 {
            break;
        }
    }
    out.flush().unwrap();
}

/// Returns the resolved datum as hexadecimal digits, or the error after a `!`.
fn resolution(resolver: &Resolver, datum: &[u8]) -> String {
    match resolver.resolve(datum, &mut Vec::new()) {
        Ok(resolved) => to_hex(resolved),
        Err(error) => format!("!{error}"),
    }
}

fn results(reader: &Schema, writer: &Schema) -> Value {
    let findings: Value = match reader.can_read(writer) {
        Ok(compatibility) => compatibility
            .findings()
            .iter()
            .map(|one| json!({"type": one.kind.as_str(), "path": &*one.path, "info": &*one.info}))
            .collect(),
        Err(error) => json!(error.to_string()),
    };
    json!({
        "reader": strings(reader),
        "writer": strings(writer),
        "findings": findings,
    })
}

fn strings(schema: &Schema) -> Value {
    json!({
        "text": schema.source(),
        "canonical": schema.to_string(),
        "pcf": schema.parsing_canonical_form(),
        "rabin": format!("{:x}", schema.rabin_fingerprint()),
    })
}

/// Returns valid data of a schema in hexadecimal digits.
fn data(random: &mut Random, schema: &Schema) -> Vec<String> {
    let mut data = Vec::new();
    for _ in 0..DATA_PER_PAIR {
        let datum = testing::datum(random, schema);
        if reference_decoder::check(schema, Budget::default(), &datum).is_ok() {
            data.push(to_hex(&datum));
        }
    }
    data
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

fn from_hex(hex: &str) -> Vec<u8> {
    let pairs = (0..hex.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}
