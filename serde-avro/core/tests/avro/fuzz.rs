//! Schema texts and pairs of them with something changed: nothing panics, nothing runs away, and
//! what is accepted keeps the laws.

use avouch_avro_testing::invariants;
use avouch_avro_testing::{self as testing, Random};

const ROUNDS: u64 = 20_000;

// Conformance: avro/5f
#[test]
fn changed_texts_and_pairs_end_in_an_error_or_keep_the_laws() {
    let (mut taken, mut compared) = (0, 0);
    for seed in 0..ROUNDS {
        let (texts, pairs) = round(seed);
        taken += texts;
        compared += pairs;
    }
    assert!(taken > ROUNDS / 4, "{taken}");
    assert!(compared > ROUNDS / 8, "{compared}");
}

/// As long as it should: `FUZZ_ROUNDS` rounds from `FUZZ_SEED`. A panic shows the schemas.
#[test]
#[ignore = "takes as long as it is told"]
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

/// Tries two texts; answers how many were taken, and whether they were compared.
fn round(seed: u64) -> (u64, u64) {
    let random = &mut Random::new(seed);
    let schema = testing::schema(random);
    let evolved = testing::evolve(random, &schema);
    let texts = [schema, evolved].map(|schema| {
        let text = schema.to_string();
        if random.one_in(2) {
            return text;
        }
        let bytes = testing::mutate(random, text.as_bytes());
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let schemas: Vec<_> = texts
        .iter()
        .filter_map(|text| invariants::check_source(text))
        .collect();
    if let [old, new] = &schemas[..] {
        invariants::check_pair(old, new);
        invariants::check_datum(new, old, &testing::datum(random, old));
    }
    (schemas.len() as u64, u64::from(schemas.len() == 2))
}
