//! The fast interpreter, at every instruction level and with any padding, against the reference
//! interpreter.

use crate::verdicts;
use avouch_avro::Schema;
use avouch_avro::validator::{Budget, Level, PADDING_BYTES, Padded, Validator};
use avouch_avro_testing::{self as testing, Random};
use std::collections::BTreeSet;

/// The interpreters of one schema, and the number of data accepted and rejected.
struct Interpreters {
    schema: Schema,
    validator: Validator,
    levels: Vec<Level>,
    accepted: u32,
    rejected: u32,
}

impl Interpreters {
    fn new(schema: Schema, budget: Budget) -> Self {
        Self {
            validator: Validator::compile_with(&schema, budget).unwrap(),
            schema,
            levels: Level::all().collect(),
            accepted: 0,
            rejected: 0,
        }
    }

    /// Checks that the interpreters agree on a datum. The padding is zeros, ones, or the start of
    /// the datum, which may complete a truncated value. The buffer ends with the padding, so that
    /// AddressSanitizer and valgrind detect a read past it.
    fn check(&mut self, datum: &[u8]) {
        let expected = self.validator.validate_reference(datum);
        for padding in [
            vec![0; PADDING_BYTES],
            vec![0xff; PADDING_BYTES],
            [datum, &[1; PADDING_BYTES]].concat()[..PADDING_BYTES].to_vec(),
        ] {
            let buffer = [datum, &padding].concat();
            let padded = Padded::new(&buffer, datum.len()).unwrap();
            for level in &self.levels {
                assert_eq!(
                    self.validator.accepts_at(*level, padded),
                    expected.is_ok(),
                    "{level:?} differs from {expected:?}: {} {datum:02x?} then {padding:02x?}",
                    self.schema.source()
                );
            }
        }
        assert_eq!(self.validator.validate(datum), expected);
        match expected {
            Ok(()) => self.accepted += 1,
            Err(_) => self.rejected += 1,
        }
    }
}

/// Returns the number of rounds: 1, or the value of `AVOUCH_FUZZ_ROUNDS`.
fn rounds() -> u64 {
    let set = std::env::var("AVOUCH_FUZZ_ROUNDS");
    set.map_or(1, |rounds| rounds.parse().unwrap())
}

// Conformance: validator/2a
#[test]
fn interpreters_agree_on_oracle_data() {
    let mut interpreters: Vec<_> = verdicts::schemas()
        .into_iter()
        .map(|(schema, _)| Interpreters::new(schema, Budget::default()))
        .collect();
    for row in verdicts::rows() {
        interpreters[row.schema].check(&row.datum);
    }
    let accepted: u32 = interpreters
        .iter()
        .map(|interpreters| interpreters.accepted)
        .sum();
    let rejected: u32 = interpreters
        .iter()
        .map(|interpreters| interpreters.rejected)
        .sum();
    assert!(accepted > 500 && rejected > 500, "{accepted} {rejected}");
}

// Conformance: validator/2a
#[test]
fn interpreters_agree_on_mutated_data() {
    for (seed, (schema, extra)) in (0..).zip(verdicts::schemas()) {
        let mut interpreters = Interpreters::new(schema, Budget::default());
        let random = &mut Random::new(seed);
        for _ in 0..40 * rounds() {
            let mut seeds = BTreeSet::from_iter(extra.iter().cloned());
            seeds.insert(testing::datum(random, &interpreters.schema));
            for datum in seeds.into_iter().filter(|datum| datum.len() < 4_000) {
                interpreters.check(&datum);
                for _ in 0..16 {
                    interpreters.check(&testing::mutate(random, &datum));
                }
            }
        }
    }
}

// Conformance: validator/2a
#[test]
fn interpreters_agree_on_random_schemas() {
    let budgets = [
        Budget::default(),
        Budget::default().with_depth(3),
        Budget::default().with_items(4),
    ];
    let (mut accepted, mut rejected) = (0, 0);
    for seed in 0..1_000 * rounds() {
        let random = &mut Random::new(seed + 1_000_000);
        let schema = testing::schema(random);
        let mut interpreters = Interpreters::new(schema, random.pick(&budgets));
        for _ in 0..4 {
            let valid = testing::datum(random, &interpreters.schema);
            interpreters.check(&valid);
            for _ in 0..12 {
                interpreters.check(&testing::mutate(random, &valid));
            }
        }
        accepted += interpreters.accepted;
        rejected += interpreters.rejected;
    }
    assert!(
        accepted > 5_000 && rejected > 5_000,
        "{accepted} {rejected}"
    );
}

// Conformance: validator/2a
#[test]
fn interpreters_agree_on_long_blocks() {
    let items = ["int", "long", "string", "double", "boolean", "bytes"];
    for (seed, item) in (0..).zip(items.repeat(30 * usize::try_from(rounds()).unwrap())) {
        let random = &mut Random::new(seed + 2_000_000);
        let array = Schema::parse(&format!(r#"{{"type":"array","items":"{item}"}}"#)).unwrap();
        let mut interpreters = Interpreters::new(array, Budget::default());
        let one = Schema::parse(&format!("\"{item}\"")).unwrap();
        let mut valid = Vec::new();
        for _ in 0..random.below(3) {
            let count = 1 + random.below(60);
            valid.push(u8::try_from(count * 2).unwrap());
            (0..count).for_each(|_| valid.extend(testing::datum(random, &one)));
        }
        valid.push(0);
        interpreters.check(&valid);
        for _ in 0..60 {
            interpreters.check(&testing::mutate(random, &valid));
        }
    }
}

// Conformance: validator/2a
#[test]
fn interpreters_agree_on_varints_at_every_position() {
    for item in ["int", "long"] {
        let array = Schema::parse(&format!(r#"{{"type":"array","items":"{item}"}}"#)).unwrap();
        let mut interpreters = Interpreters::new(array, Budget::default());
        for before in 0..70 {
            for continuing in 0..12 {
                for last in [0, 1, 2, 0x0f, 0x10, 0x7f] {
                    let count = u8::try_from(2 * (before + 2)).unwrap();
                    let head = if count < 0x80 {
                        vec![count]
                    } else {
                        vec![count, 1]
                    };
                    let long = [vec![0x80; continuing], vec![last]].concat();
                    let datum = [head, vec![3; before], long, vec![3, 0]].concat();
                    interpreters.check(&datum);
                }
            }
        }
        assert!(interpreters.accepted > 500 && interpreters.rejected > 500);
    }
}

// Conformance: validator/2a
#[test]
fn interpreters_agree_on_strings_of_every_length() {
    for schema in [
        r#""string""#,
        r#"["null","string"]"#,
        r#"["string","null"]"#,
    ] {
        let mut interpreters = Interpreters::new(Schema::parse(schema).unwrap(), Budget::default());
        let index: &[u8] = match schema {
            r#""string""# => &[],
            r#"["null","string"]"# => &[2],
            _ => &[0],
        };
        for length in 0..200_usize {
            for wrong in [None, Some(0), Some(length / 2), length.checked_sub(1)] {
                for (from, to) in [(b'a', 0x80), (0xc3, 0xa9), (0xe2, b'b')] {
                    let mut text = vec![b'x'; length];
                    if let Some(place) = wrong.filter(|place| *place < length) {
                        text[place] = from;
                        if let Some(next) = text.get_mut(place + 1) {
                            *next = to;
                        }
                    }
                    let mut head = index.to_vec();
                    testing::write_long(
                        &mut Random::new(7),
                        i64::try_from(length).unwrap(),
                        &mut head,
                    );
                    interpreters.check(&[head, text].concat());
                }
            }
        }
        assert!(interpreters.accepted > 300 && interpreters.rejected > 300);
    }
}
