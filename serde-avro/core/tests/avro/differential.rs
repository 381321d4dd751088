//! The fused form at every level of instructions, against the plain form: same verdict on every
//! datum, whatever stands behind it.

use crate::verdicts;
use avouch_avro::Schema;
use avouch_avro::validator::{Budget, Level, PADDING_BYTES, Padded, Validator};
use avouch_avro_testing::{self as testing, Random};
use std::collections::BTreeSet;

/// Data of one schema, each looked at in every form.
struct Forms {
    schema: Schema,
    validator: Validator,
    levels: Vec<Level>,
    accepted: u32,
    refused: u32,
}

impl Forms {
    fn new(schema: Schema, budget: Budget) -> Self {
        Self {
            validator: Validator::compile_with(&schema, budget).unwrap(),
            schema,
            levels: Level::all().collect(),
            accepted: 0,
            refused: 0,
        }
    }

    /// What follows a datum is all zeros, all ones, or its own beginning, which may well complete
    /// it. The buffer ends where the slack does, so that a tool sees a read beyond it.
    fn agree_on(&mut self, datum: &[u8]) {
        let plain = self.validator.validate_reference(datum);
        for slack in [
            vec![0; PADDING_BYTES],
            vec![0xff; PADDING_BYTES],
            [datum, &[1; PADDING_BYTES]].concat()[..PADDING_BYTES].to_vec(),
        ] {
            let buffer = [datum, &slack].concat();
            let padded = Padded::new(&buffer, datum.len()).unwrap();
            for level in &self.levels {
                assert_eq!(
                    self.validator.accepts_at(*level, padded),
                    plain.is_ok(),
                    "{level:?} differs from {plain:?}: {} {datum:02x?} then {slack:02x?}",
                    self.schema.source()
                );
            }
        }
        assert_eq!(self.validator.validate(datum), plain);
        match plain {
            Ok(()) => self.accepted += 1,
            Err(_) => self.refused += 1,
        }
    }
}

/// How much is tried: 1 for a test run, more from `AVOUCH_FUZZ_ROUNDS`.
fn rounds() -> u64 {
    let set = std::env::var("AVOUCH_FUZZ_ROUNDS");
    set.map_or(1, |rounds| rounds.parse().unwrap())
}

// Conformance: validator/2a
#[test]
fn the_forms_agree_on_the_oracles_data() {
    let mut forms: Vec<_> = verdicts::schemas()
        .into_iter()
        .map(|(schema, _)| Forms::new(schema, Budget::default()))
        .collect();
    for row in verdicts::rows() {
        forms[row.schema].agree_on(&row.datum);
    }
    let accepted: u32 = forms.iter().map(|forms| forms.accepted).sum();
    let refused: u32 = forms.iter().map(|forms| forms.refused).sum();
    assert!(accepted > 500 && refused > 500, "{accepted} {refused}");
}

// Conformance: validator/2a
#[test]
fn the_forms_agree_on_mutated_data_of_every_schema() {
    for (seed, (schema, extra)) in (0..).zip(verdicts::schemas()) {
        let mut forms = Forms::new(schema, Budget::default());
        let random = &mut Random::new(seed);
        for _ in 0..40 * rounds() {
            let mut seeds = BTreeSet::from_iter(extra.iter().cloned());
            seeds.insert(testing::datum(random, &forms.schema));
            for datum in seeds.into_iter().filter(|datum| datum.len() < 4_000) {
                forms.agree_on(&datum);
                for _ in 0..16 {
                    forms.agree_on(&testing::mutate(random, &datum));
                }
            }
        }
    }
}

// Conformance: validator/2a
#[test]
fn the_forms_agree_on_random_schemas() {
    let budgets = [
        Budget::default(),
        Budget::default().with_depth(3),
        Budget::default().with_items(4),
    ];
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..1_000 * rounds() {
        let random = &mut Random::new(seed + 1_000_000);
        let schema = testing::schema(random);
        let mut forms = Forms::new(schema, random.pick(&budgets));
        for _ in 0..4 {
            let valid = testing::datum(random, &forms.schema);
            forms.agree_on(&valid);
            for _ in 0..12 {
                forms.agree_on(&testing::mutate(random, &valid));
            }
        }
        accepted += forms.accepted;
        refused += forms.refused;
    }
    assert!(accepted > 5_000 && refused > 5_000, "{accepted} {refused}");
}

// Conformance: validator/2a
#[test]
fn the_forms_agree_on_blocks_that_span_many_loads() {
    let items = ["int", "long", "string", "double", "boolean", "bytes"];
    for (seed, item) in (0..).zip(items.repeat(30 * usize::try_from(rounds()).unwrap())) {
        let random = &mut Random::new(seed + 2_000_000);
        let array = Schema::parse(&format!(r#"{{"type":"array","items":"{item}"}}"#)).unwrap();
        let mut forms = Forms::new(array, Budget::default());
        let one = Schema::parse(&format!("\"{item}\"")).unwrap();
        let mut valid = Vec::new();
        for _ in 0..random.below(3) {
            let count = 1 + random.below(60);
            valid.push(u8::try_from(count * 2).unwrap());
            (0..count).for_each(|_| valid.extend(testing::datum(random, &one)));
        }
        valid.push(0);
        forms.agree_on(&valid);
        for _ in 0..60 {
            forms.agree_on(&testing::mutate(random, &valid));
        }
    }
}

// Conformance: validator/2a
#[test]
fn the_forms_agree_on_varints_at_every_place_and_of_every_length() {
    for item in ["int", "long"] {
        let array = Schema::parse(&format!(r#"{{"type":"array","items":"{item}"}}"#)).unwrap();
        let mut forms = Forms::new(array, Budget::default());
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
                    forms.agree_on(&datum);
                }
            }
        }
        assert!(forms.accepted > 500 && forms.refused > 500);
    }
}

// Conformance: validator/2a
#[test]
fn the_forms_agree_on_texts_of_every_length() {
    for schema in [
        r#""string""#,
        r#"["null","string"]"#,
        r#"["string","null"]"#,
    ] {
        let mut forms = Forms::new(Schema::parse(schema).unwrap(), Budget::default());
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
                    forms.agree_on(&[head, text].concat());
                }
            }
        }
        assert!(forms.accepted > 300 && forms.refused > 300);
    }
}
