//! Resolution of a writer's schema to a reader's.

use avouch_avro::resolution::{Resolver, UnionRule};
use avouch_avro::validator::{Budget, Reason, Validator};
use avouch_avro::{Schema, to_vec};
use avouch_avro_testing::{self as testing, Random, reference_decoder};

fn schema(text: &str) -> Schema {
    Schema::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn resolver(writer: &str, reader: &str) -> Resolver {
    Resolver::new(&schema(writer), &schema(reader)).unwrap()
}

fn resolved(writer: &str, reader: &str, datum: &[u8]) -> Result<Vec<u8>, String> {
    let mut buffer = Vec::new();
    let resolver = resolver(writer, reader);
    let resolved = resolver.resolve(datum, &mut buffer);
    resolved
        .map(<[u8]>::to_vec)
        .map_err(|error| error.to_string())
}

fn record(fields: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#)
}

// Conformance: codec/2a
#[test]
fn types_are_promoted() {
    let double = |value: f64| value.to_le_bytes().to_vec();
    let float = |value: f32| value.to_le_bytes().to_vec();
    let cases = [
        ("int", "long", vec![6], vec![6]),
        ("int", "float", vec![6], float(3.0)),
        ("int", "double", vec![5], double(-3.0)),
        ("long", "float", vec![6], float(3.0)),
        ("long", "double", vec![6], double(3.0)),
        ("float", "double", float(1.5), double(1.5)),
        ("string", "bytes", b"\x02a".to_vec(), b"\x02a".to_vec()),
        ("bytes", "string", b"\x02a".to_vec(), b"\x02a".to_vec()),
    ];
    for (writer, reader, datum, expected) in cases {
        let found = resolved(&format!("\"{writer}\""), &format!("\"{reader}\""), &datum);
        assert_eq!(found, Ok(expected), "{writer} {reader}");
    }
    let error = resolved(r#""double""#, r#""float""#, &[0; 8]).unwrap_err();
    assert_eq!(error, "/: double cannot be read as float at byte 0 of 8");
}

// Conformance: codec/2a
#[test]
fn fields_are_skipped_moved_renamed_and_inserted() {
    let writer = record(
        r#"{"name":"a","type":"string"},{"name":"b","type":"int"},{"name":"c","type":"long"},
           {"name":"d","type":{"type":"map","values":"bytes"}}"#,
    );
    let datum = b"\x02x\x04\x06\x02\x02k\x02v\0";
    let cases = [
        (r#"{"name":"b","type":"int"}"#, b"\x04".to_vec()),
        (
            r#"{"name":"c","type":"long"},{"name":"a","type":"string"}"#,
            b"\x06\x02x".to_vec(),
        ),
        (
            r#"{"name":"n","type":"long","aliases":["b"]}"#,
            b"\x04".to_vec(),
        ),
        (
            r#"{"name":"n","type":"long","aliases":["b"]},{"name":"b","type":"int"}"#,
            b"\x04\x04".to_vec(),
        ),
        (
            r#"{"name":"e","type":["null","int"],"default":null},{"name":"c","type":"long"},
               {"name":"f","type":{"type":"array","items":"int"},"default":[1]}"#,
            b"\0\x06\x02\x02\0".to_vec(),
        ),
        ("", Vec::new()),
    ];
    for (reader, expected) in cases {
        assert_eq!(
            resolved(&writer, &record(reader), datum),
            Ok(expected),
            "{reader}"
        );
    }
    let error = resolved(&writer, &record(r#"{"name":"z","type":"int"}"#), datum).unwrap_err();
    assert!(
        error.contains("no field z, which has no default"),
        "{error}"
    );
    let error = resolved(&writer, &record(""), &datum[..3]).unwrap_err();
    assert_eq!(error, "/c: truncated at byte 3 of 3, long needs 1");
}

// Conformance: codec/2b
#[test]
fn defaults_of_every_shape_are_encoded() {
    let cases = [
        (r#""null""#, "null", vec![]),
        (r#""boolean""#, "true", vec![1]),
        (r#""int""#, "-1", vec![1]),
        (
            r#""long""#,
            "9007199254740993",
            to_vec(&9_007_199_254_740_993_i64).unwrap(),
        ),
        (r#""float""#, "1", 1_f32.to_le_bytes().to_vec()),
        (r#""double""#, "1.5", 1.5_f64.to_le_bytes().to_vec()),
        (r#""string""#, r#""é""#, b"\x04\xc3\xa9".to_vec()),
        (r#""bytes""#, r#""\u00ff""#, vec![2, 0xff]),
        (
            r#"{"type":"fixed","name":"F","size":2}"#,
            r#""\u0000\u00ff""#,
            vec![0, 0xff],
        ),
        (
            r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
            r#""B""#,
            vec![2],
        ),
        (
            r#"{"type":"array","items":"int"}"#,
            "[1,2]",
            vec![4, 2, 4, 0],
        ),
        (
            r#"{"type":"map","values":"int"}"#,
            r#"{"k":1}"#,
            vec![2, 2, b'k', 2, 0],
        ),
        (r#"["null","int"]"#, "1", vec![2, 2]),
        (
            r#"{"type":"record","name":"S","fields":[{"name":"x","type":"int"},
                {"name":"y","type":"int","default":2}]}"#,
            r#"{"x":1}"#,
            vec![2, 4],
        ),
    ];
    for (kind, default, expected) in cases {
        let field = format!(r#"{{"name":"a","type":{kind},"default":{default}}}"#);
        let reader = record(&field);
        assert_eq!(resolved(&record(""), &reader, b""), Ok(expected), "{field}");
    }
}

// Conformance: codec/2c
#[test]
fn enum_symbols_map_by_name() {
    let symbols = |symbols: &str, rest: &str| {
        format!(r#"{{"type":"enum","name":"E","symbols":[{symbols}]{rest}}}"#)
    };
    let writer = symbols(r#""A","B","C""#, "");
    let reader = symbols(r#""C","A""#, "");
    assert_eq!(resolved(&writer, &reader, &[4]), Ok(vec![0]));
    assert_eq!(
        resolved(&writer, &reader, &[2]),
        Err("/: the reader's enum has neither symbol B nor a default at byte 1 of 1".into())
    );
    let reader = symbols(r#""C","A""#, r#","default":"A""#);
    assert_eq!(resolved(&writer, &reader, &[2]), Ok(vec![2]));
    // Appended symbols change no byte.
    assert!(resolver(&writer, &symbols(r#""A","B","C","D""#, "")).is_identity());
}

// Conformance: codec/2d
#[test]
fn union_branches_are_selected_by_the_rule() {
    let (writer, reader) = (schema(r#""int""#), schema(r#"["double","long","int"]"#));
    let cases = [
        (
            UnionRule::FirstMatch,
            [&[0][..], &3_f64.to_le_bytes()].concat(),
        ),
        (UnionRule::SameTypeFirst, vec![4, 6]),
    ];
    for (rule, expected) in cases {
        let resolver = Resolver::with(&writer, &reader, rule, Budget::default()).unwrap();
        assert_eq!(resolver.resolve(&[6], &mut Vec::new()).unwrap(), expected);
    }
    assert_eq!(
        resolved(r#"["int","string"]"#, r#""long""#, &[0, 6]),
        Ok(vec![6])
    );
    let error = resolved(r#"["int","string"]"#, r#""long""#, b"\x02\x02a").unwrap_err();
    assert_eq!(
        error,
        "/(string): string cannot be read as long at byte 1 of 3"
    );
    // Branches that moved.
    let found = resolved(r#"["null","string"]"#, r#"["string","null"]"#, b"\x02\x02a");
    assert_eq!(found, Ok(b"\0\x02a".to_vec()));
    assert!(resolver(r#"["double","int"]"#, r#"["double","int"]"#).is_identity());
    // The first record of the name lacks a default, the second reads all.
    let branch = |space: &str, default: &str| {
        format!(
            r#"{{"type":"record","name":"R","namespace":"{space}","fields":[
                {{"name":"x","type":"int"{default}}}]}}"#
        )
    };
    let reader = format!("[{},{}]", branch("a", ""), branch("b", r#","default":5"#));
    assert_eq!(resolved(&record(""), &reader, b""), Ok(vec![2, 10]));
}

// Conformance: codec/2e
#[test]
fn fixed_matches_by_size_decimals_by_scale() {
    let fixed = |size, scale| {
        format!(
            r#"{{"type":"fixed","name":"F","size":{size},"logicalType":"decimal",
                "precision":4,"scale":{scale}}}"#
        )
    };
    assert!(resolver(&fixed(2, 1), &fixed(2, 1)).is_identity());
    assert!(!resolver(&fixed(2, 1), &fixed(3, 1)).reads_all());
    assert_eq!(
        resolved(&fixed(2, 1), &fixed(2, 2), &[0; 2]),
        Err("/: decimals of different scales do not match at byte 0 of 2".into())
    );
}

// Conformance: codec/2f
#[test]
fn recursive_records_resolve_to_their_depth() {
    let node = |kind: &str| {
        record(&format!(
            r#"{{"name":"v","type":"{kind}"}},{{"name":"next","type":["null","R"]}}"#
        ))
    };
    assert!(resolver(&node("int"), &node("long")).is_identity());
    let datum = [&[4, 2].repeat(900)[..], &[4, 0]].concat();
    let expected = 2_f32.to_le_bytes();
    let expected = [
        &[&expected[..], &[2]].concat().repeat(900)[..],
        &expected,
        &[0],
    ]
    .concat();
    assert_eq!(resolved(&node("int"), &node("float"), &datum), Ok(expected));
    let deep = [4, 2].repeat(1_001);
    let error = resolved(&node("int"), &node("float"), &deep).unwrap_err();
    assert!(error.contains("too-deep at byte 2000"), "{error}");
}

// Conformance: codec/2g
#[test]
fn output_is_bounded_by_the_budget() {
    let items = |fields: &str| format!(r#"{{"type":"array","items":{}}}"#, record(fields));
    let long = "x".repeat(1_000);
    let field = format!(r#"{{"name":"a","type":"string","default":"{long}"}}"#);
    let (writer, reader) = (schema(&items("")), schema(&items(&field)));
    let budget = Budget::default().with_bytes(100_000);
    let resolver = Resolver::with(&writer, &reader, UnionRule::default(), budget).unwrap();
    let mut datum = to_vec(&1_000_i64).unwrap();
    datum.push(0);
    let error = resolver.resolve(&datum, &mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("too-large"), "{error}");
    // Records whose defaults double at each level.
    let mut inner = record("");
    for level in 0..40 {
        inner = format!(
            r#"{{"type":"record","name":"D{level}","fields":[
                {{"name":"a","type":{inner},"default":{{}}}},
                {{"name":"b","type":"{}","default":{{}}}}]}}"#,
            if level == 0 {
                "R".to_owned()
            } else {
                format!("D{}", level - 1)
            }
        );
    }
    let field = format!(r#"{{"name":"z","type":{inner},"default":{{}}}}"#);
    let reader = format!(r#"{{"type":"record","name":"Top","fields":[{field}]}}"#);
    let writer = r#"{"type":"record","name":"Top","fields":[]}"#;
    assert!(Resolver::new(&schema(writer), &schema(&reader)).is_err());
}

// Conformance: codec/2h
#[test]
fn resolver_agrees_with_the_compatibility_check() {
    let (mut read, mut changed) = (0, 0);
    for seed in 0..3_000 {
        let random = &mut Random::new(seed);
        let writer = testing::schema(random);
        let reader = testing::evolve(random, &writer);
        let Ok(compatibility) = reader.can_read(&writer) else {
            continue;
        };
        let resolver = Resolver::new(&writer, &reader).unwrap();
        let has_decimals = writer.source().contains("decimal");
        assert!(
            has_decimals || resolver.reads_all() == compatibility.is_compatible(),
            "seed {seed}: {writer} {reader}"
        );
        let validator = Validator::compile(&reader).unwrap();
        for _ in 0..4 {
            let datum = testing::datum(random, &writer);
            let is_valid = reference_decoder::check(&writer, Budget::default(), &datum).is_ok();
            let mut buffer = Vec::new();
            let outcome = resolver.resolve(&datum, &mut buffer);
            if is_valid && resolver.reads_all() {
                let resolved = outcome.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                let fault = validator.validate(resolved).err();
                // Bytes that are promoted to a string may not be UTF-8.
                let is_readable = fault.is_none_or(|fault| fault.reason == Reason::BadUtf8);
                assert!(is_readable, "seed {seed}: {writer} {reader} {datum:?}");
                read += 1;
                changed += usize::from(!resolver.is_identity());
            }
            let mutated = testing::mutate(random, &datum);
            drop(resolver.resolve(&mutated, &mut Vec::new()));
        }
    }
    assert!(
        read > 2_000 && changed > 500,
        "{read} data, {changed} changed"
    );
}
