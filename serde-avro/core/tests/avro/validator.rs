//! The validator against the reference decoder.

use avouch_avro::Schema;
use avouch_avro::validator::{Budget, Reason, Validator};
use avouch_avro_testing::reference_decoder;
use avouch_avro_testing::{self as testing, Random};
use std::collections::BTreeMap;

// Conformance: avro/5b, validator/1a, validator/5
#[test]
fn validator_agrees_with_the_reference_decoder() {
    let budgets = [
        Budget::default(),
        Budget::default().with_depth(3),
        Budget::default().with_items(4),
    ];
    let mut outcomes = BTreeMap::<Option<Reason>, u32>::new();
    for seed in 0..1_000 {
        let random = &mut Random::new(seed);
        let schema = testing::schema(random);
        let budget = random.pick(&budgets);
        let validator = Validator::compile_with(&schema, budget).unwrap();
        for _ in 0..6 {
            let valid = testing::datum(random, &schema);
            for round in 0..8 {
                let datum = if round == 0 {
                    valid.clone()
                } else {
                    testing::mutate(random, &valid)
                };
                let found = validator.validate(&datum);
                let expected = reference_decoder::check(&schema, budget, &datum);
                assert_eq!(
                    found,
                    expected,
                    "seed {seed}: {} {datum:02x?}",
                    schema.source()
                );
                let reason = validator.reason_in(budget, &datum, &datum);
                assert_eq!(reason, expected.map_err(|fault| fault.reason));
                *outcomes
                    .entry(found.err().map(|fault| fault.reason))
                    .or_default() += 1;
            }
        }
    }
    assert_eq!(outcomes.len(), 11, "every outcome occurs: {outcomes:?}");
    assert!(outcomes.values().all(|count| *count > 20), "{outcomes:?}");
}

// Conformance: avro/5b, validator/1a
#[test]
fn validator_agrees_on_long_blocks() {
    for (seed, item) in (0..).zip(["int", "long", "string", "double", "boolean"].repeat(40)) {
        let random = &mut Random::new(seed);
        let text = format!(r#"{{"type":"array","items":"{item}"}}"#);
        let schema = Schema::parse(&text).unwrap();
        let one = Schema::parse(&format!("\"{item}\"")).unwrap();
        let validator = Validator::compile(&schema).unwrap();
        let items = 1 + random.below(60);
        let mut valid = vec![u8::try_from(items * 2).unwrap()];
        (0..items).for_each(|_| valid.extend(testing::datum(random, &one)));
        valid.push(0);
        assert_eq!(validator.validate(&valid), Ok(()));
        for _ in 0..40 {
            let datum = testing::mutate(random, &valid);
            let expected = reference_decoder::check(&schema, Budget::default(), &datum);
            assert_eq!(
                validator.validate(&datum),
                expected,
                "seed {seed}: {datum:02x?}"
            );
        }
    }
}

// Conformance: validator/1d
#[test]
fn shared_records_compile_once() {
    let record = |at: usize| {
        let part = if at == 0 {
            "\"int\"".to_owned()
        } else {
            format!("\"R{}\"", at - 1)
        };
        format!(
            r#"{{"type":"record","name":"R{at}","fields":[
                {{"name":"a","type":{part}}},{{"name":"b","type":{part}}}]}}"#
        )
    };
    let all = (0..60).map(record).collect::<Vec<_>>().join(",");
    let schema = Schema::parse(&format!("[{all}]")).unwrap();
    let validator = Validator::compile(&schema).unwrap();
    assert!(
        validator.memory_bytes() < 64 * 1024,
        "{}",
        validator.memory_bytes()
    );
    // Branch 59 holds 2^59 ints: the datum ends long before.
    let fault = validator.validate(&[118, 0, 0, 0]).unwrap_err();
    assert_eq!((fault.reason, fault.offset), (Reason::Truncated, 4));
}

// Conformance: validator/1d
#[test]
fn records_without_bytes_take_no_time() {
    let record = |at: usize| {
        let part = if at == 0 {
            "\"null\"".to_owned()
        } else {
            format!("\"R{}\"", at - 1)
        };
        format!(
            r#"{{"type":"record","name":"R{at}","fields":[
                {{"name":"a","type":{part}}},{{"name":"b","type":{part}}}]}}"#
        )
    };
    let all = (0..60).map(record).collect::<Vec<_>>().join(",");
    let schema = Schema::parse(&format!(r#"[{all},{{"type":"array","items":"R59"}}]"#)).unwrap();
    let validator = Validator::compile(&schema).unwrap();
    assert_eq!(validator.validate(&[118]), Ok(()));
    assert_eq!(validator.validate(&[120, 0x80, 0x89, 0x7a, 0]), Ok(()));
    let million_and_one = [120, 0x82, 0x89, 0x7a, 0];
    assert_eq!(
        validator.validate(&million_and_one).unwrap_err().reason,
        Reason::TooComplex
    );
}

// Conformance: validator/1d
#[test]
fn schema_depth_limit_is_within_the_budget() {
    let open = |at| format!(r#"{{"type":"record","name":"R{at}","fields":[{{"name":"f","type":"#);
    let text = (0..64).map(open).collect::<String>() + "\"int\"" + &"}]}".repeat(64);
    let validator = Validator::compile(&Schema::parse(&text).unwrap()).unwrap();
    assert_eq!(validator.validate(&[2]), Ok(()));
    let fault = validator.validate(&[]).unwrap_err();
    assert_eq!(fault.path, "/f".repeat(64));
}
