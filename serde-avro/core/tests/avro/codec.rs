//! The codec: layout, faults and budgets.

use avouch_avro::codec::{
    self, Decode, DecodeError, DecodeErrorKind, Decoder, Encode, EncodeError, Encoder,
};
use avouch_avro::validator::{Budget, Validator};
use avouch_avro::{Schema, from_slice, to_vec};
use avouch_avro_testing::Random;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

fn round_trip<T: Encode + for<'de> Decode<'de> + PartialEq + Debug>(value: &T, bytes: &[u8]) {
    assert_eq!(to_vec(value).unwrap(), bytes);
    assert_eq!(from_slice::<T>(bytes).unwrap(), *value);
}

// Conformance: codec/1a
#[test]
fn values_have_the_specified_layout() {
    round_trip(&(), b"");
    round_trip(&true, &[1]);
    round_trip(&-1_i32, &[1]);
    round_trip(&i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]);
    round_trip(&64_i64, &[0x80, 0x01]);
    round_trip(&i64::MIN, &[&[0xff; 9][..], &[1]].concat());
    round_trip(&1.5_f32, &1.5_f32.to_le_bytes());
    round_trip(&-2.5_f64, &(-2.5_f64).to_le_bytes());
    round_trip(&"foo".to_owned(), b"\x06foo");
    round_trip(&b"foo".to_vec(), b"\x06foo");
    round_trip(b"foo", b"foo");
    round_trip(&vec![3_i64, 27], &[4, 6, 54, 0]);
    round_trip(&Vec::<i64>::new(), &[0]);
    round_trip(&Box::new(3_i64), &[6]);
    let entries = [("a".to_owned(), 1_i32)];
    round_trip(&BTreeMap::from(entries.clone()), &[2, 2, b'a', 2, 0]);
    round_trip(&HashMap::from(entries), &[2, 2, b'a', 2, 0]);
    assert_eq!(from_slice::<&str>(b"\x06foo").unwrap(), "foo");
    assert_eq!(from_slice::<&[u8]>(b"\x06foo").unwrap(), b"foo");
}

// Conformance: codec/1a
#[test]
fn longs_of_every_width_round_trip() {
    let random = &mut Random::new(7);
    for bits in 0..64 {
        for _ in 0..20 {
            let value = (random.number() >> bits).cast_signed();
            for value in [value, -value, !value] {
                let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
                let mut bytes = Vec::new();
                while rest >= 0x80 {
                    bytes.push(rest.to_le_bytes()[0] | 0x80);
                    rest >>= 7;
                }
                bytes.push(rest.to_le_bytes()[0]);
                round_trip(&value, &bytes);
                // Bytes after the varint must not change its value.
                bytes.extend([0xff; 9]);
                assert_eq!(Decoder::new(&bytes).long().unwrap(), value);
                if let Ok(int) = i32::try_from(value) {
                    assert_eq!(Decoder::new(&bytes).int().unwrap(), int);
                }
            }
        }
    }
}

// Conformance: codec/1b
#[test]
fn options_keep_the_order_of_branches() {
    for null in [0_u32, 1] {
        for value in [None, Some(7_i64)] {
            let mut out = Encoder::new();
            codec::encode_option(value.as_ref(), null, &mut out).unwrap();
            let first = if value.is_none() { null } else { 1 - null };
            assert_eq!(u32::from(out.as_slice()[0]), first * 2);
            let mut input = Decoder::new(out.as_slice());
            assert_eq!(codec::decode_option(null, &mut input).unwrap(), value);
            input.finish().unwrap();
        }
    }
}

/// A list that contains itself.
#[derive(Debug, PartialEq)]
struct Cell {
    next: Option<Box<Self>>,
}

impl Encode for Cell {
    fn encode(&self, out: &mut Encoder) -> Result<(), EncodeError> {
        codec::encode_option(self.next.as_ref(), 0, out).map_err(|error| error.in_field("next"))
    }
}

impl<'de> Decode<'de> for Cell {
    fn decode(input: &mut Decoder<'de>) -> Result<Self, DecodeError> {
        let next = codec::decode_option(0, input).map_err(|error| error.in_field("next"))?;
        Ok(Self { next })
    }
}

fn text<T: Debug>(outcome: Result<T, DecodeError>) -> String {
    outcome.unwrap_err().to_string()
}

// Conformance: codec/1d
#[test]
fn faults_have_their_offset() {
    let cases = [
        (
            text(from_slice::<bool>(b"")),
            "/: truncated at byte 0 of 0, boolean needs 1",
        ),
        (
            text(from_slice::<bool>(b"\x02")),
            "/: bad-bool at byte 0 of 1",
        ),
        (
            text(from_slice::<bool>(b"\x01\x01")),
            "/: trailing-bytes at byte 1 of 2",
        ),
        (
            text(from_slice::<i32>(&[0x80; 9])),
            "/: bad-varint at byte 0 of 9",
        ),
        (
            text(from_slice::<i32>(&[255, 255, 255, 255, 16])),
            "/: bad-varint at byte 0 of 5",
        ),
        (
            text(from_slice::<i64>(&[0x80; 11])),
            "/: bad-varint at byte 0 of 11",
        ),
        (
            text(from_slice::<i64>(&[0x80; 3])),
            "/: truncated at byte 0 of 3, long needs 4",
        ),
        (
            text(from_slice::<f64>(b"1234567")),
            "/: truncated at byte 0 of 7, double needs 8",
        ),
        (
            text(from_slice::<&str>(b"\x01")),
            "/: bad-varint at byte 0 of 1",
        ),
        (
            text(from_slice::<&str>(b"\x08abc")),
            "/: truncated at byte 1 of 4, bytes needs 4",
        ),
        (
            text(from_slice::<&str>(b"\x06a\xffc")),
            "/: bad-utf8 at byte 2 of 4",
        ),
        (
            text(from_slice::<[u8; 4]>(b"abc")),
            "/: truncated at byte 0 of 3, fixed needs 4",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

// Conformance: codec/1d
#[test]
fn faults_have_their_path() {
    type Entries<'de> = BTreeMap<&'de str, Vec<bool>>;
    let cases = [
        (
            text(from_slice::<Vec<i32>>(&[4, 2, 0x80])),
            "/[1]: truncated at byte 2 of 3, int needs 2",
        ),
        (
            text(from_slice::<Vec<i32>>(&[3, 2, 2, 2, 0])),
            "/: bad-block at byte 4 of 5",
        ),
        (
            text(from_slice::<Vec<i32>>(&[1, 1, 2, 0])),
            "/: bad-block at byte 1 of 4",
        ),
        (
            text(from_slice::<Entries<'_>>(&[2, 2, 97, 2, 3, 0])),
            "/{0}[0]: bad-bool at byte 4 of 6",
        ),
        (
            text(from_slice::<Entries<'_>>(&[2, 2, 0xff, 0, 0])),
            "/{0}.key: bad-utf8 at byte 2 of 5",
        ),
        (
            text(from_slice::<Cell>(&[2, 4])),
            "/next/next: bad-union at byte 1 of 2",
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
}

// Conformance: codec/1e
#[test]
fn hostile_counts_allocate_nothing() {
    let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    let lowest = [&[0xff; 9][..], &[1]].concat();
    for count in [&huge[..], &lowest] {
        let fault = text(from_slice::<Vec<()>>(count));
        assert!(fault.starts_with("/: too-complex"), "{fault}");
    }
    // Within the budget of items, but the datum is too short.
    let million = to_vec(&1_000_000_i64).unwrap();
    let fault = text(from_slice::<Vec<[u8; 100]>>(&million));
    assert!(fault.starts_with("/[0]: truncated"), "{fault}");
    let fault = text(from_slice::<Vec<[u8; 1_000]>>(&million));
    assert!(fault.starts_with("/: too-large"), "{fault}");
    let mut input = Decoder::with_budget(&[4, 2, 2, 0], Budget::default().with_items(1));
    let error = Vec::<i32>::decode(&mut input).unwrap_err();
    assert!(matches!(error.kind(), DecodeErrorKind::Fault(_)));
    let mut input = Decoder::with_budget(&[4, 2, 2, 0], Budget::default().with_bytes(7));
    let error = Vec::<i32>::decode(&mut input).unwrap_err();
    assert_eq!(*error.kind(), DecodeErrorKind::TooLarge);
}

// Conformance: codec/1e
#[test]
fn depth_ends_in_an_error() {
    // One more level than the budget.
    let deep = [&[2; 1_001][..], &[0]].concat();
    let fault = text(from_slice::<Cell>(&deep));
    assert!(fault.contains("too-deep at byte 1001"), "{fault}");
    assert!(from_slice::<Cell>(&deep[1..]).is_ok());
    let budget = Budget::default().with_depth(u32::MAX);
    let deep = vec![2; 10_000_000];
    let error = Cell::decode(&mut Decoder::with_budget(&deep, budget)).unwrap_err();
    // The stack is bounded whatever the depth.
    assert!(error.to_string().contains("too-deep"));
}

// Conformance: codec/1a
#[test]
fn encoded_values_are_valid() {
    let schema = r#"{"type": "map", "values": {"type": "array", "items": "string"}}"#;
    let validator = Validator::compile(&Schema::parse(schema).unwrap()).unwrap();
    let value = BTreeMap::from([("a", vec!["b"; 200]), ("", vec![]), ("é", vec!["日本"])]);
    let mut bytes = b"before".to_vec();
    codec::append(&value, &mut bytes).unwrap();
    validator.validate(&bytes[6..]).unwrap();
    assert_eq!(from_slice::<BTreeMap<_, _>>(&bytes[6..]).unwrap(), value);
}
