//! Mutated schemas and pairs of them: no panics, bounded time, and invariants of accepted schemas.

use avouch_avro_testing::invariants;
use avouch_avro_testing::{self as testing, Random};

const ROUNDS: u64 = 20_000;

// Conformance: avro/5f
#[test]
fn mutated_schemas_and_pairs_keep_invariants() {
    let (mut accepted, mut compared) = (0, 0);
    for seed in 0..ROUNDS {
        let (schemas, pairs) = round(seed);
        accepted += schemas;
        compared += pairs;
    }
    assert!(accepted > ROUNDS / 4, "{accepted}");
    assert!(compared > ROUNDS / 8, "{compared}");
}

/// Runs `FUZZ_ROUNDS` rounds from the seed `FUZZ_SEED`. A panic shows the schemas.
#[test]
#[ignore = "a long run; see oracle/README.md"]
fn fuzz() {
    let number = |name, default| match std::env::var(name) {
        Ok(text) => text.parse().unwrap(),
        Err(_) => default,
    };
    let start: u64 = number("FUZZ_SEED", ROUNDS);
    let rounds: u64 = number("FUZZ_ROUNDS", ROUNDS);
    for index in 0..rounds {
        round(start.wrapping_add(index));
    }
}

/// Checks two schemas. Returns the number of accepted ones and of compared pairs.
fn round(seed: u64) -> (u64, u64) {
    let random = &mut Random::new(seed);
    let schema = testing::schema(random);
    let evolved = testing::evolve(random, &schema);
    let sources = [schema, evolved].map(|schema| {
        let source = schema.to_string();
        if random.one_in(2) {
            return source;
        }
        let bytes = testing::mutate(random, source.as_bytes());
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let schemas: Vec<_> = sources
        .iter()
        .filter_map(|source| invariants::check_source(source))
        .collect();
    if let [old, new] = &schemas[..] {
        invariants::check_pair(old, new);
        invariants::check_datum(new, old, &testing::datum(random, old));
    }
    (schemas.len() as u64, u64::from(schemas.len() == 2))
}
