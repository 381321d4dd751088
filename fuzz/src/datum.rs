//! Laws of the validator. A fuzzer's bytes are a budget, a schema, and a datum of it.

use avouch_avro::Schema;
use avouch_avro::validator::{Budget, Level, PADDING_BYTES, Padded, Validator};

use crate::{book, schema};

/// The validator agrees with a decoder by the book, on every fault too. Answers whether the bytes
/// came to a schema.
pub fn agrees_with_the_book(bytes: &[u8]) -> bool {
    let Some(case) = Case::of(bytes) else {
        return false;
    };
    let found = case.validator.validate(case.datum);
    let expected = book::check(&case.schema, case.budget, case.datum);
    assert_eq!(found, expected, "{}", case.schema.source());
    true
}

/// The fused form at every level of instructions agrees with the plain form, whatever stands
/// behind the datum. Each buffer ends with its slack, so that AddressSanitizer sees a read beyond.
/// Answers whether the bytes came to a schema.
pub fn forms_agree(bytes: &[u8]) -> bool {
    let Some(case) = Case::of(bytes) else {
        return false;
    };
    let plain = case.validator.validate_reference(case.datum).is_ok();
    let own_beginning = [case.datum, &[1; PADDING_BYTES]].concat();
    for slack in [
        &[0; PADDING_BYTES],
        &[0xff; PADDING_BYTES],
        &own_beginning[..PADDING_BYTES],
    ] {
        let buffer = [case.datum, slack].concat();
        let padded = Padded::new(&buffer, case.datum.len()).expect("the slack was just added");
        for level in Level::all() {
            let fused = case.validator.accepts_at(level, padded);
            assert_eq!(fused, plain, "{level:?}: {}", case.schema.source());
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
