//! Schemas and data of derived types, and code that must not compile.

#![expect(clippy::unwrap_used, reason = "tests panic")]

use std::borrow::Cow;
use std::collections::BTreeMap;

use avouch_avro::codec::{AvroType, Decode, Encode, schema_of};
use avouch_avro::validator::Validator;
use avouch_avro::{Schema, from_slice, to_vec};
use avouch_avro_macros::AvroType;

/// A payment
/// with "quotes".
#[derive(Clone, Debug, Default, PartialEq, AvroType)]
#[avro(
    namespace = "com.example",
    subject = "payments-value",
    rename_all = "camelCase"
)]
struct Payment<'a> {
    /// Unique.
    payment_id: &'a str,
    #[avro(default = "0")]
    amount: i64,
    r#type: Kind,
    note: Option<Cow<'a, str>>,
    parts: Vec<Part>,
    labels: BTreeMap<String, u32>,
    bytes: &'a [u8],
    method: Method,
    #[avro(name = "next_one")]
    next: Option<Box<Self>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, AvroType)]
#[avro(
    namespace = "com.example",
    rename_all = "SCREAMING_SNAKE_CASE",
    default = "OTHER"
)]
enum Kind {
    #[default]
    CreditTransfer,
    #[avro(name = "OTHER")]
    Rest,
}

#[derive(Clone, Debug, Default, PartialEq, AvroType)]
#[avro(namespace = "com.example")]
struct Part {
    kind: Kind,
    size: u16,
}

#[derive(Clone, Debug, Default, PartialEq, AvroType)]
enum Method {
    #[default]
    None,
    Text(String),
    Part(Part),
}

const EXPECTED: &str = r#"{"type":"record","name":"Payment","namespace":"com.example",
    "doc":"A payment\nwith \"quotes\".","fields":[
    {"name":"paymentId","type":"string","doc":"Unique."},
    {"name":"amount","type":"long","default":0},
    {"name":"type","type":{"type":"enum","name":"Kind","symbols":["CREDIT_TRANSFER","OTHER"],
        "default":"OTHER"}},
    {"name":"note","type":["null","string"],"default":null},
    {"name":"parts","type":{"type":"array","items":{"type":"record","name":"Part","fields":[
        {"name":"kind","type":"Kind"},{"name":"size","type":"int"}]}}},
    {"name":"labels","type":{"type":"map","values":"long"}},
    {"name":"bytes","type":"bytes"},
    {"name":"method","type":["null","string","Part"]},
    {"name":"next_one","type":["null","Payment"],"default":null}]}"#;

fn payment() -> Payment<'static> {
    Payment {
        payment_id: "p1",
        amount: -3,
        r#type: Kind::Rest,
        note: Some("n".into()),
        parts: vec![
            Part::default(),
            Part {
                kind: Kind::Rest,
                size: u16::MAX,
            },
        ],
        labels: [("a".to_owned(), u32::MAX)].into(),
        bytes: &[1, 2],
        method: Method::Part(Part::default()),
        next: Some(Box::new(Payment::default())),
    }
}

// Conformance: codegen/7
#[test]
fn derived_schema_has_names_and_defaults() {
    let expected: Schema = EXPECTED.parse().unwrap();
    assert_eq!(Payment::schema().to_string(), expected.to_string());
    assert_eq!(Payment::FULL_NAME, "com.example.Payment");
    assert_eq!(Payment::SUBJECT, Some("payments-value"));
    assert_eq!(
        schema_of::<Vec<Option<f32>>>().unwrap().to_string(),
        r#"{"type":"array","items":["null","float"]}"#
    );
}

// Conformance: codegen/7
#[test]
fn derived_types_round_trip() {
    let value = payment();
    let datum = to_vec(&value).unwrap();
    Validator::compile(Payment::schema())
        .unwrap()
        .validate(&datum)
        .unwrap();
    assert_eq!(from_slice::<Payment<'_>>(&datum).unwrap(), value);
    for method in [Method::None, Method::Text("x".into())] {
        let datum = to_vec(&method).unwrap();
        assert_eq!(from_slice::<Method>(&datum).unwrap(), method);
    }
}

// Conformance: codegen/7
#[test]
fn changes_from_registered_schema_are_listed() {
    assert!(
        Payment::changes_from(&EXPECTED.parse().unwrap())
            .unwrap()
            .is_empty()
    );
    let registered = EXPECTED.replace(r#""type":"long","default":0"#, r#""type":"int""#);
    let changes = Payment::changes_from(&registered.parse().unwrap()).unwrap();
    assert!(changes[0].to_string().contains("/amount"), "{changes:?}");
}

fn round_trip<T: Encode + for<'de> Decode<'de> + PartialEq + std::fmt::Debug>(value: &T) {
    let datum = to_vec(value).unwrap();
    assert_eq!(&from_slice::<T>(&datum).unwrap(), value);
}

// Conformance: codegen/8
#[test]
fn integers_never_wrap() {
    round_trip(&(i8::MIN, u16::MAX).0);
    round_trip(&u16::MAX);
    round_trip(&u32::MAX);
    round_trip(&(u64::MAX >> 1));
    let error = to_vec(&u64::MAX).unwrap_err();
    assert!(
        error.to_string().contains("outside the range of long"),
        "{error}"
    );
    let error = from_slice::<u16>(&to_vec(&-1_i32).unwrap()).unwrap_err();
    assert!(
        error.to_string().contains("outside the range of u16"),
        "{error}"
    );
}

// Conformance: codegen/7
#[test]
fn invalid_code_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/invalid/*.rs");
}
