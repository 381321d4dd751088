//! What findings tell beyond Java's words: both places and a suggestion.

use avouch_avro::Schema;
use avouch_avro::compatibility::{Kind, check};

/// A record R of these fields, each as JSON without braces.
fn record(fields: &[&str]) -> Schema {
    let fields: Vec<_> = fields.iter().map(|field| format!("{{{field}}}")).collect();
    let fields = fields.join(",");
    Schema::parse(&format!(
        r#"{{"type":"record","name":"n.R","fields":[{fields}]}}"#
    ))
    .unwrap()
}

struct Expected {
    kind: Kind,
    reader: (&'static str, &'static str),
    writer: (&'static str, &'static str),
    suggestion: &'static str,
}

/// Fields of the reader, fields of the writer, and the first finding with paths and source texts.
#[expect(clippy::too_many_lines, reason = "a table")]
fn table() -> Vec<(Vec<&'static str>, Vec<&'static str>, Expected)> {
    let row = |kind, reader, writer, suggestion| Expected {
        kind,
        reader,
        writer,
        suggestion,
    };
    vec![
        (
            vec![r#""name":"amount","type":"long""#],
            vec![r#""name":"amont","type":"long""#],
            row(
                Kind::ReaderFieldMissingDefaultValue,
                ("/amount", r#"{"name":"amount","type":"long"}"#),
                (
                    "/",
                    r#"{"type":"record","name":"n.R","fields":[{"name":"amont","type":"long"}]}"#,
                ),
                "add \"default\": 0 to field amount in the reader's schema, or \"aliases\": \
                 [\"amont\"] if amont was renamed",
            ),
        ),
        (
            vec![r#""name":"a","type":{"type":"array","items":"int"}"#],
            vec![r#""name":"a","type":{"type":"array","items":"long"}"#],
            row(
                Kind::TypeMismatch,
                ("/a[]", r#""int""#),
                ("/a[]", r#""long""#),
                "read it as long: int can become long, but not the other way",
            ),
        ),
        (
            vec![r#""name":"a","type":"boolean""#],
            vec![r#""name":"a","type":{"type":"map","values":"int"}"#],
            row(
                Kind::TypeMismatch,
                ("/a", r#""boolean""#),
                ("/a", r#"{"type":"map","values":"int"}"#),
                "keep the type map, or leave the field and add one of type boolean with a \
                 \"default\"",
            ),
        ),
        (
            vec![r#""name":"a","type":["null","string"]"#],
            vec![r#""name":"a","type":["null","string","long"]"#],
            row(
                Kind::MissingUnionBranch,
                ("/a", r#"["null","string"]"#),
                ("/a<long>", r#""long""#),
                "add long to the union in the reader's schema",
            ),
        ),
        (
            vec![r#""name":"a","type":{"type":"enum","name":"E","symbols":["A"]}"#],
            vec![r#""name":"a","type":{"type":"enum","name":"E","symbols":["A","B"]}"#],
            row(
                Kind::MissingEnumSymbols,
                ("/a", r#"{"type":"enum","name":"E","symbols":["A"]}"#),
                ("/a", r#"{"type":"enum","name":"E","symbols":["A","B"]}"#),
                "keep the symbols B in n.E, or give n.E a \"default\" symbol",
            ),
        ),
        (
            vec![
                r#""name":"a","type":{"type":"fixed","name":"F","size":4}"#,
                r#""name":"b","type":"F""#,
            ],
            vec![
                r#""name":"b","type":{"type":"fixed","name":"F","size":4}"#,
                r#""name":"a","type":{"type":"fixed","name":"G","size":4}"#,
            ],
            row(
                Kind::NameMismatch,
                ("/a", r#"{"type":"fixed","name":"F","size":4}"#),
                ("/a", r#"{"type":"fixed","name":"G","size":4}"#),
                "add \"aliases\": [\"n.G\"] to n.F in the reader's schema",
            ),
        ),
        (
            vec![r#""name":"a","type":{"type":"fixed","name":"F","size":4}"#],
            vec![r#""name":"a","type":{"type":"fixed","name":"F","size":8}"#],
            row(
                Kind::FixedSizeMismatch,
                ("/a", r#"{"type":"fixed","name":"F","size":4}"#),
                ("/a", r#"{"type":"fixed","name":"F","size":8}"#),
                "keep the size of n.F at 8, or add a field of a new type beside it",
            ),
        ),
    ]
}

#[test]
fn each_kind_tells_both_places_and_what_would_help() {
    for (reader, writer, expected) in table() {
        let (reader, writer) = (record(&reader), record(&writer));
        let findings = check(&reader, &writer).unwrap();
        let found = &findings[0];
        assert_eq!(found.kind, expected.kind);
        assert_eq!(found.suggestion(), expected.suggestion);
        for (schema, site, (path, text)) in [
            (&reader, found.reader(), expected.reader),
            (&writer, found.writer(), expected.writer),
        ] {
            assert_eq!(site.path, path, "{}", expected.suggestion);
            assert_eq!(&schema.text()[site.span.start..site.span.end], text);
        }
    }
}

#[test]
fn a_branch_that_reads_in_part_is_not_called_missing() {
    let side = |field: &str| format!(r#"{{"type":"record","name":"S","fields":[{field}]}}"#);
    let reader = record(&[&format!(
        r#""name":"a","type":["null",{}]"#,
        side(r#"{"name":"x","type":"int"}"#)
    )]);
    let writer = record(&[&format!(r#""name":"a","type":["null",{}]"#, side(""))]);
    let findings = check(&reader, &writer).unwrap();
    assert_eq!(
        findings[0].suggestion(),
        "the union's branch of this kind reads n.S only in part: compare the two alone"
    );
    assert_eq!(findings[0].writer().path, "/a<n.S>");
}

#[test]
fn following_a_suggestion_removes_the_finding() {
    let writer = record(&[r#""name":"amont","type":"long""#]);
    for helped in [
        r#""name":"amount","type":"long","default":0"#,
        r#""name":"amount","type":"long","aliases":["amont"]"#,
    ] {
        assert_eq!(check(&record(&[helped]), &writer), Ok(Vec::new()));
    }
}
