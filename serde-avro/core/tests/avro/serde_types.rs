//! Serde types under a schema.

use avouch_avro::Schema;
use avouch_avro::logical::{BigDecimal, Decimal, Duration};
use avouch_avro::serde::{from_slice, to_vec};
use avouch_avro::validator::Validator;
use avouch_avro_testing::{self as testing, Random};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;

fn schema(text: &str) -> Schema {
    Schema::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn record(fields: &str) -> Schema {
    schema(&format!(
        r#"{{"type":"record","name":"a.R","fields":[{fields}]}}"#
    ))
}

/// Checks that a value is encoded as these bytes, which decode to the value.
fn round_trip<T>(schema: &Schema, value: &T, bytes: &[u8])
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    assert_eq!(to_vec(value, schema).unwrap(), bytes, "{schema}");
    assert_eq!(from_slice::<T>(bytes, schema).unwrap(), *value, "{schema}");
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Borrowed<'a> {
    // Not the order of the schema.
    #[serde(with = "serde_bytes_like")]
    data: &'a [u8],
    id: &'a str,
}

/// Borrowed bytes, as the crate serde_bytes has them.
mod serde_bytes_like {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<&'de [u8], D::Error> {
        Deserialize::deserialize(from)
    }
}

// Conformance: codec/3a
#[test]
fn structs_borrow_and_match_by_field_name() {
    let schema = record(
        r#"{"name":"id","type":"string"},{"name":"data","type":"bytes"},
           {"name":"extra","type":"int","default":7}"#,
    );
    let value = Borrowed {
        data: b"\xff",
        id: "x",
    };
    let bytes = to_vec(&value, &schema).unwrap();
    assert_eq!(bytes, b"\x02x\x02\xff\x0e");
    let decoded: Borrowed<'_> = from_slice(&bytes, &schema).unwrap();
    assert_eq!(decoded, value);
    // The strings are those of the datum.
    assert_eq!(decoded.id.as_ptr(), bytes[1..].as_ptr());
}

// Conformance: codec/3a
#[test]
fn plain_types_have_the_specified_layout() {
    round_trip(&schema(r#""null""#), &(), b"");
    round_trip(&schema(r#""boolean""#), &true, &[1]);
    round_trip(&schema(r#""int""#), &-2_i8, &[3]);
    round_trip(
        &schema(r#""long""#),
        &u32::MAX,
        &[0xfe, 0xff, 0xff, 0xff, 0x1f],
    );
    round_trip(&schema(r#""long""#), &7_u64, &[14]);
    round_trip(&schema(r#""float""#), &1.5_f32, &1.5_f32.to_le_bytes());
    round_trip(&schema(r#""double""#), &1.5_f64, &1.5_f64.to_le_bytes());
    round_trip(&schema(r#""string""#), &'é', b"\x04\xc3\xa9");
    round_trip(&schema(r#""bytes""#), &vec![1_u8, 2], &[4, 1, 2]);
    round_trip(
        &schema(r#"{"type":"fixed","name":"F","size":2}"#),
        &[1_u8, 2],
        &[1, 2],
    );
    round_trip(
        &schema(r#"{"type":"array","items":"int"}"#),
        &vec![1, 2],
        &[4, 2, 4, 0],
    );
    let map = BTreeMap::from([("k".to_owned(), 1)]);
    round_trip(
        &schema(r#"{"type":"map","values":"int"}"#),
        &map,
        &[2, 2, b'k', 2, 0],
    );
    let pair = record(r#"{"name":"x","type":"int"},{"name":"y","type":"string"}"#);
    round_trip(&pair, &(1, "a".to_owned()), b"\x02\x02a");
    let fields = BTreeMap::from([("y".to_owned(), 2), ("x".to_owned(), 1)]);
    let pair = record(r#"{"name":"x","type":"int"},{"name":"y","type":"int"}"#);
    round_trip(&pair, &fields, &[2, 4]);
}

// Conformance: codec/3c
#[test]
fn integers_outside_the_range_are_errors() {
    let int = schema(r#""int""#);
    let long = schema(r#""long""#);
    assert!(to_vec(&u64::MAX, &long).is_err());
    assert!(to_vec(&i128::MIN, &long).is_err());
    assert!(to_vec(&u32::MAX, &int).is_err());
    assert!(to_vec(&(1_i64 << 40), &int).is_err());
    let minus_one = to_vec(&-1, &int).unwrap();
    let error = from_slice::<u32>(&minus_one, &int).unwrap_err().to_string();
    assert_eq!(
        error,
        "/: the value is not in the range; expected u32 at byte 0 of 1"
    );
    assert!(from_slice::<u8>(&to_vec(&300, &int).unwrap(), &int).is_err());
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Named {
    Null,
    Long(i64),
    #[serde(rename = "a.R")]
    Record {
        x: i32,
    },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Positional {
    First,
    Second(i64),
    Third(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Other {
    Number(i64),
    Text(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Suit {
    #[serde(rename = "HEARTS")]
    Hearts,
    Spades,
}

// Conformance: codec/3d
#[test]
fn unions_are_options_and_enums() {
    for (union, null, some) in [(r#"["null","long"]"#, 0, 2), (r#"["long","null"]"#, 2, 0)] {
        round_trip(&schema(union), &None::<i64>, &[null]);
        round_trip(&schema(union), &Some(3_i64), &[some, 6]);
    }
    let inner = r#"{"type":"record","name":"a.R","fields":[{"name":"x","type":"int"}]}"#;
    let by_name = schema(&format!(r#"[{inner},"long","null"]"#));
    round_trip(&by_name, &Named::Record { x: 1 }, &[0, 2]);
    round_trip(&by_name, &Named::Long(1), &[2, 2]);
    round_trip(&by_name, &Named::Null, &[4]);
    let by_position = schema(r#"["null","long","string"]"#);
    round_trip(&by_position, &Positional::First, &[0]);
    round_trip(&by_position, &Positional::Second(1), &[2, 2]);
    round_trip(&by_position, &Positional::Third("a".into()), b"\x04\x02a");
    round_trip(&by_position, &Some(Other::Number(1)), &[2, 2]);
    round_trip(&by_position, &Some(Other::Text("a".into())), b"\x04\x02a");
    round_trip(&by_position, &None::<Other>, &[0]);
    let suit = r#"{"type":"enum","name":"S","symbols":["Spades","HEARTS"]}"#;
    round_trip(&schema(suit), &Suit::Hearts, &[2]);
    round_trip(
        &schema(&format!(r#"["null",{suit}]"#)),
        &Some(Suit::Spades),
        &[2, 0],
    );
    assert!(to_vec(&1.5_f64, &by_position).is_err());
}

// Conformance: codec/3b
#[test]
fn logical_types_convert_their_bytes() {
    let decimal = schema(r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#);
    round_trip(&decimal, &Decimal(-129), &[4, 0xff, 0x7f]);
    let fixed =
        schema(r#"{"type":"fixed","name":"D","size":4,"logicalType":"decimal","precision":9}"#);
    round_trip(&fixed, &Decimal(-129), &[0xff, 0xff, 0xff, 0x7f]);
    assert!(to_vec(&Decimal(1 << 40), &fixed).is_err());
    let big = schema(r#"{"type":"bytes","logicalType":"big-decimal"}"#);
    let value = BigDecimal {
        unscaled: Decimal(1),
        scale: -1,
    };
    round_trip(&big, &value, &[6, 2, 1, 1]);
    let duration = schema(r#"{"type":"fixed","name":"P","size":12,"logicalType":"duration"}"#);
    let value = Duration {
        months: 1,
        days: 2,
        millis: 3,
    };
    round_trip(&duration, &value, &[1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]);
    for logical in ["timestamp-nanos", "local-timestamp-micros", "time-micros"] {
        let long = schema(&format!(r#"{{"type":"long","logicalType":"{logical}"}}"#));
        round_trip(&long, &i64::MIN, &[&[0xff; 9][..], &[1]].concat());
    }
    let uuid = schema(r#"{"type":"fixed","name":"U","size":16,"logicalType":"uuid"}"#);
    round_trip(&uuid, &[7_u8; 16], &[7; 16]);
}

// Conformance: codec/3e
#[test]
fn errors_have_their_path() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Item {
        x: Vec<Option<u8>>,
    }
    let items = record(r#"{"name":"x","type":{"type":"array","items":["null","int"]}}"#);
    let error = from_slice::<Item>(&[4, 0, 2, 0x80, 4, 0], &items).unwrap_err();
    let expected = "/x[1](int): the value is not in the range; expected u8 at byte 3 of 6";
    assert_eq!(error.to_string(), expected);
    let missing = record(r#"{"name":"x","type":"int"},{"name":"y","type":"int"}"#);
    let error = to_vec(&BTreeMap::from([("x", 1)]), &missing).unwrap_err();
    assert_eq!(
        error.to_string(),
        "/y: the field has no value and no default"
    );
    let error = to_vec(&BTreeMap::from([("z", 1)]), &missing).unwrap_err();
    assert_eq!(error.to_string(), "/z: the record has no such field");
    let error = from_slice::<Item>(&[0, 0], &items).unwrap_err();
    assert_eq!(error.to_string(), "/: trailing-bytes at byte 1 of 2");
}

// Conformance: codec/3f
#[test]
fn valid_data_are_visited_to_the_end() {
    let mut visited = 0;
    for seed in 0..2_000 {
        let random = &mut Random::new(seed);
        let schema = testing::schema(random);
        let validator = Validator::compile(&schema).unwrap();
        let datum = testing::datum(random, &schema);
        let mutated = testing::mutate(random, &datum);
        for datum in [datum, mutated] {
            let is_valid = validator.validate(&datum).is_ok();
            let outcome = from_slice::<serde::de::IgnoredAny>(&datum, &schema);
            assert_eq!(
                outcome.is_ok(),
                is_valid,
                "seed {seed}: {schema}: {outcome:?}"
            );
            visited += usize::from(is_valid);
        }
    }
    assert!(visited > 1_500, "{visited}");
}
