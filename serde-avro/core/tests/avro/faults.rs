//! The contents of faults.

use avouch_avro::Schema;
use avouch_avro::validator::Validator;

const ORDER: &str = r#"{"type": "record", "name": "Order", "namespace": "shop", "fields": [
    {"name": "id", "type": "string"},
    {"name": "note", "type": ["null", "string"]},
    {"name": "items", "type": {"type": "array", "items": {
        "type": "record", "name": "Item", "fields": [
            {"name": "count", "type": "int"},
            {"name": "weight", "type": "float"},
            {"name": "price", "type": "double"}]}}},
    {"name": "tags", "type": {"type": "map", "values": "boolean"}},
    {"name": "gift", "type": ["null", "Item"]},
    {"name": "country", "type": {"type": "enum", "name": "Country", "symbols": ["DE", "FR"]}}]}"#;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Data with their faults. `ITEM` is thirteen bytes, `beyond` the end of a longer message.
const FAULTS: &str = "
    : /id: truncated at byte 0 of 0, length needs 1
    0a 41: /id: truncated at byte 1 of 2, string needs 5
    01: /id: bad-varint at byte 0 of 1
    04 41ff: /id: bad-utf8 at byte 2 of 3
    00 04: /note: bad-union at byte 1 of 2
    00 01: /note: bad-union at byte 1 of 2
    00 02 02ff: /note(string): bad-utf8 at byte 3 of 4
    00 00: /items: truncated at byte 2 of 2, block count needs 1
    00 00 06 ITEM ITEM 02 00000000 00: /items[2]/price: truncated at byte 34 of 35, double needs 8
    00 00 06 ITEM ITEM 02 0000: /items[2]/weight: truncated at byte 30 of 32, float needs 4
    00 00 02 ITEM 02 ffffffff1f: /items[1]/count: bad-varint at byte 17 of 22, -4294967296 beyond
    00 00 02 ITEM 02 80f882ad16: /items[1]/count: bad-varint at byte 17 of 22, 3000000000 beyond
    00 00 02 ITEM 02 808080808000: /items[1]/count: bad-varint at byte 17 of 23
    00 80f882ad16: /note: bad-varint at byte 1 of 6, 3000000000 beyond
    00 00 01 18 ITEM: /items: bad-block at byte 17 of 17
    00 00 01 50 ITEM: /items: bad-block at byte 17 of 17
    00 00 01 01 ITEM: /items: bad-block at byte 3 of 17
    00 00 82897a: /items: too-complex at byte 2 of 5
    00 00 00 02 02ff 00: /tags{0}.key: bad-utf8 at byte 5 of 7
    00 00 00 04 0261 01 0262 02: /tags{1}: bad-bool at byte 9 of 10
    00 00 00 00 02 80: /gift(shop.Item)/count: truncated at byte 5 of 6, int needs 2
    00 00 00 00 00 04: /country: bad-enum at byte 5 of 6
    00 00 00 00 00 02 00: /: trailing-bytes at byte 6 of 7";

// Conformance: validator/1c
#[test]
fn faults_have_reason_path_and_offset() {
    let validator = Validator::compile(&Schema::parse(ORDER).unwrap()).unwrap();
    for line in FAULTS.trim().lines() {
        let (datum, expected) = line.split_once(": ").unwrap();
        let datum = hex(&datum.replace("ITEM", "02 00000000 0000000000000000"));
        let expected = expected.replace(" beyond", " is beyond 32 bits");
        assert_eq!(
            validator.validate(&datum).unwrap_err().to_string(),
            expected,
            "{line}"
        );
    }
    assert_eq!(validator.validate(&hex("00 00 00 00 00 02")), Ok(()));
}

// Conformance: validator/1c
#[test]
fn values_without_names_have_paths() {
    let table = [
        (
            r#""double""#,
            "00",
            "/: truncated at byte 0 of 1, double needs 8",
        ),
        (
            r#"{"type":"array","items":"boolean"}"#,
            "040102",
            "/[1]: bad-bool at byte 2 of 3",
        ),
        (
            r#"["null","boolean"]"#,
            "0202",
            "/(boolean): bad-bool at byte 1 of 2",
        ),
        (
            r#"{"type":"map","values":"int"}"#,
            "02",
            "/{0}.key: truncated at byte 1 of 1, length needs 1",
        ),
        (r#""null""#, "00", "/: trailing-bytes at byte 0 of 1"),
    ];
    for (schema, datum, expected) in table {
        let validator = Validator::compile(&Schema::parse(schema).unwrap()).unwrap();
        assert_eq!(
            validator.validate(&hex(datum)).unwrap_err().to_string(),
            expected
        );
    }
}

// Conformance: validator/1d
#[test]
fn depth_faults_have_the_whole_path() {
    let schema = r#"{"type":"record","name":"L","fields":[{"name":"n","type":["null","L"]}]}"#;
    let validator = Validator::compile(&Schema::parse(schema).unwrap()).unwrap();
    let chain = |links: usize| [vec![2; links], vec![0]].concat();
    assert_eq!(validator.validate(&chain(999)), Ok(()));
    let fault = validator.validate(&chain(1_000)).unwrap_err();
    let path = "/n(L)".repeat(1_000);
    assert_eq!(
        fault.to_string(),
        format!("{path}: too-deep at byte 1000 of 1001")
    );
    // This datum overflows the stack of other decoders.
    assert_eq!(
        validator
            .validate(&chain(1_000_000))
            .unwrap_err()
            .reason
            .code(),
        "too-deep"
    );
}
