//! Schema texts and pairs of them with something changed: nothing panics, nothing runs away, and
//! what is accepted keeps the laws.

use crate::random::{self, Random};
use avouch_avro::compatibility::check;
use avouch_avro::validator::Validator;
use avouch_avro::{Schema, diff};

const ROUNDS: u64 = 20_000;

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

/// As long as it should: `FUZZ_ROUNDS` rounds from `FUZZ_SEED`. A panic names the seed.
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
    let schema = random::schema(random);
    let evolved = random::evolve(random, &schema);
    let texts = [schema, evolved].map(|schema| {
        let text = schema.canonical_text();
        if random.one_in(2) {
            return text;
        }
        let bytes = random::mutate(random, text.as_bytes());
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let schemas: Vec<_> = texts
        .iter()
        .filter_map(|text| try_text(seed, text))
        .collect();
    if let [old, new] = &schemas[..] {
        try_pair(seed, old, new);
    }
    (schemas.len() as u64, u64::from(schemas.len() == 2))
}

fn try_text(seed: u64, text: &str) -> Option<Schema> {
    let schema = Schema::parse(text).ok()?;
    let canonical = schema.canonical_text();
    let again = Schema::parse(&canonical).unwrap_or_else(|error| panic!("{seed}: {error}"));
    assert_eq!(again.canonical_text(), canonical, "{seed}");
    assert_eq!(
        again.rabin_fingerprint(),
        schema.rabin_fingerprint(),
        "{seed}"
    );
    let normalized = schema.normalized_text();
    let again = Schema::parse(&normalized).unwrap_or_else(|error| panic!("{seed}: {error}"));
    assert_eq!(again.normalized_text(), normalized, "{seed}");
    assert!(Validator::compile(&schema).is_ok(), "{seed}");
    Some(schema)
}

fn try_pair(seed: u64, old: &Schema, new: &Schema) {
    let (Ok(backward), Ok(forward)) = (check(new, old), check(old, new)) else {
        return;
    };
    let changes = diff::between(old, new).unwrap_or_else(|error| panic!("{seed}: {error}"));
    let breaks = (
        changes.iter().any(|change| change.breaks.new_readers),
        changes.iter().any(|change| change.breaks.old_readers),
    );
    assert_eq!(
        breaks,
        (!backward.is_empty(), !forward.is_empty()),
        "{seed}"
    );
}
