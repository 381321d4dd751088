//! Export of random pairs of schemas with results, for the comparison with other implementations.

use avouch_avro::Schema;
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
        row["data"] = data(random, &writer);
        writeln!(out, "{row}").unwrap();
    }
    out.flush().unwrap();
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
fn data(random: &mut Random, schema: &Schema) -> Value {
    let mut data = Vec::new();
    for _ in 0..DATA_PER_PAIR {
        let datum = testing::datum(random, schema);
        if reference_decoder::check(schema, Budget::default(), &datum).is_ok() {
            let hex = datum.iter().fold(String::new(), |mut hex, byte| {
                write!(hex, "{byte:02x}").unwrap();
                hex
            });
            data.push(hex);
        }
    }
    json!(data)
}
