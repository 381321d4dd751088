//! Where the validator is stricter than Java and fastavro, and where it is not: a test for each
//! such row of the contract, with what those two did with the same bytes when the committed
//! verdicts were made.

use crate::verdicts;
use avouch_avro::Schema;
use avouch_avro::validator::Validator;

/// What to do with a datum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Accepts,
    Refuses,
}
use Does::{Accepts, Refuses};

/// Bytes, our reason to refuse them (empty if they pass), and what Java and fastavro do.
type Case = (&'static str, &'static str, Does, Does);

fn check(schema: &str, cases: &[Case]) {
    let validator = Validator::compile(&Schema::parse(schema).unwrap()).unwrap();
    let schemas = verdicts::schemas();
    let mut rows = verdicts::rows();
    rows.retain(|row| schemas[row.schema].0.to_string() == schema);
    for (hex, ours, java, fastavro) in cases {
        let row = rows.iter().find(|row| row.datum == verdicts::from_hex(hex));
        let row = row.unwrap_or_else(|| panic!("{hex} is not among the verdicts"));
        let found = validator.validate(&row.datum);
        let found = found.map_or_else(|fault| fault.reason.code(), |()| "");
        assert_eq!(found, *ours, "{schema} {hex}");
        let does = |verdict| {
            if verdict == "accept" {
                Accepts
            } else {
                Refuses
            }
        };
        assert_eq!(
            (does(&*row.java), does(&*row.fastavro)),
            (*java, *fastavro),
            "{schema} {hex}"
        );
    }
}

// Conformance: validator/s1
#[test]
fn invalid_utf8_is_refused_where_java_replaces_it() {
    let cases = [
        ("02ff", "bad-utf8", Accepts, Refuses),
        ("04c328", "bad-utf8", Accepts, Refuses),
        ("04c3a9", "", Accepts, Accepts),
    ];
    check(r#""string""#, &cases);
}

// Conformance: validator/s2
#[test]
fn a_boolean_other_than_0_or_1_is_refused_where_both_take_it() {
    let cases = [
        ("02", "bad-bool", Accepts, Accepts),
        ("ff", "bad-bool", Accepts, Accepts),
        ("01", "", Accepts, Accepts),
    ];
    check(r#""boolean""#, &cases);
}

// Conformance: validator/s3
#[test]
fn a_number_beyond_its_bits_is_refused_where_both_drop_them() {
    check(
        r#""int""#,
        &[("ffffffff1f", "bad-varint", Accepts, Accepts)],
    );
    check(
        r#""long""#,
        &[("ffffffffffffffffff02", "bad-varint", Accepts, Accepts)],
    );
}

// Conformance: validator/s4
#[test]
fn a_number_beyond_its_bytes_is_refused_as_in_java() {
    check(
        r#""int""#,
        &[("808080808000", "bad-varint", Refuses, Accepts)],
    );
    check(
        r#""long""#,
        &[("8080808080808080808000", "bad-varint", Refuses, Accepts)],
    );
}

// Conformance: validator/s5
#[test]
fn an_over_long_number_within_its_bytes_passes_as_in_both() {
    check(r#""int""#, &[("8080808000", "", Accepts, Accepts)]);
    check(
        r#""long""#,
        &[("80808080808080808000", "", Accepts, Accepts)],
    );
}

// Conformance: validator/s6
#[test]
fn a_block_of_another_size_than_it_says_is_refused_where_neither_looks() {
    let cases = [
        ("01020200", "", Accepts, Accepts),
        ("01040200", "bad-block", Accepts, Accepts),
        ("01c8010200", "bad-block", Accepts, Accepts),
    ];
    check(r#"{"type":"array","items":"int"}"#, &cases);
}

/// Both stop where the value ends and leave it to their caller to look behind it; the verdicts were
/// made by callers that do.
// Conformance: validator/s7
#[test]
fn trailing_bytes_are_refused() {
    check(r#""null""#, &[("00", "trailing-bytes", Refuses, Refuses)]);
}
