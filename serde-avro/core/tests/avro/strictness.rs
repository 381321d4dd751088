//! Data on which the validator is stricter than Java or fastavro, with the results of both from the
//! committed verdicts.

use crate::verdicts;
use avouch_avro::Schema;
use avouch_avro::validator::Validator;

/// The result of a decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Accepts,
    Rejects,
}
use Verdict::{Accepts, Rejects};

/// A datum, the expected reason (empty if it is accepted), and the results of Java and fastavro.
type Case = (&'static str, &'static str, Verdict, Verdict);

fn check(schema: &str, cases: &[Case]) {
    let validator = Validator::compile(&Schema::parse(schema).unwrap()).unwrap();
    let schemas = verdicts::schemas();
    let mut rows = verdicts::rows();
    rows.retain(|row| schemas[row.schema].0.to_string() == schema);
    for (hex, reason, java, fastavro) in cases {
        let row = rows.iter().find(|row| row.datum == verdicts::from_hex(hex));
        let row = row.unwrap_or_else(|| panic!("{hex} is not among the verdicts"));
        let found = validator.validate(&row.datum);
        let found = found.map_or_else(|fault| fault.reason.code(), |()| "");
        assert_eq!(found, *reason, "{schema} {hex}");
        let verdict_of = |verdict| {
            if verdict == "accept" {
                Accepts
            } else {
                Rejects
            }
        };
        assert_eq!(
            (verdict_of(&*row.java), verdict_of(&*row.fastavro)),
            (*java, *fastavro),
            "{schema} {hex}"
        );
    }
}

// Conformance: validator/s1
#[test]
fn invalid_utf8_is_rejected_unlike_java() {
    let cases = [
        ("02ff", "bad-utf8", Accepts, Rejects),
        ("04c328", "bad-utf8", Accepts, Rejects),
        ("04c3a9", "", Accepts, Accepts),
    ];
    check(r#""string""#, &cases);
}

// Conformance: validator/s2
#[test]
fn booleans_above_one_are_rejected_unlike_both() {
    let cases = [
        ("02", "bad-bool", Accepts, Accepts),
        ("ff", "bad-bool", Accepts, Accepts),
        ("01", "", Accepts, Accepts),
    ];
    check(r#""boolean""#, &cases);
}

// Conformance: validator/s3
#[test]
fn excess_bits_are_rejected_unlike_both() {
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
fn excess_bytes_are_rejected_as_in_java() {
    check(
        r#""int""#,
        &[("808080808000", "bad-varint", Rejects, Accepts)],
    );
    check(
        r#""long""#,
        &[("8080808080808080808000", "bad-varint", Rejects, Accepts)],
    );
}

// Conformance: validator/s5
#[test]
fn over_long_numbers_pass_as_in_both() {
    check(r#""int""#, &[("8080808000", "", Accepts, Accepts)]);
    check(
        r#""long""#,
        &[("80808080808080808000", "", Accepts, Accepts)],
    );
}

// Conformance: validator/s6
#[test]
fn wrong_block_sizes_are_rejected_unlike_both() {
    let cases = [
        ("01020200", "", Accepts, Accepts),
        ("01040200", "bad-block", Accepts, Accepts),
        ("01c8010200", "bad-block", Accepts, Accepts),
    ];
    check(r#"{"type":"array","items":"int"}"#, &cases);
}

/// Both decoders stop at the end of the value; the committed verdicts include a check for more
/// bytes.
// Conformance: validator/s7
#[test]
fn trailing_bytes_are_rejected() {
    check(r#""null""#, &[("00", "trailing-bytes", Rejects, Rejects)]);
}
