//! Invariants of the validator. The fuzzer's bytes are a budget, a schema and a datum of it.

use avouch_avro::Schema;
use avouch_avro::validator::{Budget, Level, PADDING_BYTES, Padded, Validator};
use avouch_avro_testing::reference_decoder;

use crate::schema;

/// Checks that the validator and the reference decoder return the same result and fault. Returns
/// whether the bytes hold a schema.
pub fn check_against_reference_decoder(bytes: &[u8]) -> bool {
    let Some(case) = Case::of(bytes) else {
        return false;
    };
    let found = case.validator.validate(case.datum);
    let expected = reference_decoder::check(&case.schema, case.budget, case.datum);
    assert_eq!(found, expected, "{}", case.schema.source());
    true
}

/// Checks that the fast interpreter accepts the same data as the reference interpreter, at every
/// instruction level and with any padding. Returns whether the bytes hold a schema.
pub fn check_interpreters(bytes: &[u8]) -> bool {
    let Some(case) = Case::of(bytes) else {
        return false;
    };
    let expected = case.validator.validate_reference(case.datum).is_ok();
    // Padding that continues the datum with its own start may complete a truncated value.
    let own_start = [case.datum, &[1; PADDING_BYTES]].concat();
    for padding in [
        &[0; PADDING_BYTES],
        &[0xff; PADDING_BYTES],
        &own_start[..PADDING_BYTES],
    ] {
        // The buffer ends with the padding, so that AddressSanitizer detects a read past it.
        let buffer = [case.datum, padding].concat();
        let padded = Padded::new(&buffer, case.datum.len()).expect("the padding was just added");
        for level in Level::all() {
            let accepted = case.validator.accepts_at(level, padded);
            assert_eq!(accepted, expected, "{level:?}: {}", case.schema.source());
        }
    }
    true
}

struct Case<'a> {
    budget: Budget,
    schema: Schema,
    validator: Validator,
    datum: &'a [u8],
}

impl<'a> Case<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let (first, mut rest) = bytes.split_first()?;
        let mut budget = Budget::default();
        match first % 4 {
            1 => budget.depth = 3,
            2 => budget.items = 4,
            _ => {}
        }
        let schema = schema::take(&mut rest)?;
        let validator = Validator::compile_with(&schema, budget).ok()?;
        Some(Self {
            budget,
            schema,
            validator,
            datum: rest,
        })
    }
}
