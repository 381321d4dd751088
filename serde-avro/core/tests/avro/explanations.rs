//! The parts of findings that Java does not report: sites, suggestions and causes.

use avouch_avro::Schema;
use avouch_avro::compatibility::{Incompatibility, IncompatibilityKind};

/// Returns a record R with fields that are JSON objects without braces.
fn record(fields: &[&str]) -> Schema {
    let fields: Vec<_> = fields.iter().map(|field| format!("{{{field}}}")).collect();
    let fields = fields.join(",");
    Schema::parse(&format!(
        r#"{{"type":"record","name":"n.R","fields":[{fields}]}}"#
    ))
    .unwrap()
}

fn findings(reader: &Schema, writer: &Schema) -> Vec<Incompatibility> {
    reader.can_read(writer).unwrap().into_findings()
}

struct Expected {
    kind: IncompatibilityKind,
    reader: (&'static str, &'static str),
    writer: (&'static str, &'static str),
    suggestion: &'static str,
}

/// Returns fields of the reader, fields of the writer, and the expected first finding with paths
/// and sources.
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
                IncompatibilityKind::ReaderFieldMissingDefaultValue,
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
                IncompatibilityKind::TypeMismatch,
                ("/a[]", r#""int""#),
                ("/a[]", r#""long""#),
                "change the reader's type to long: int is promoted to long, not the reverse",
            ),
        ),
        (
            vec![r#""name":"a","type":"boolean""#],
            vec![r#""name":"a","type":{"type":"map","values":"int"}"#],
            row(
                IncompatibilityKind::TypeMismatch,
                ("/a", r#""boolean""#),
                ("/a", r#"{"type":"map","values":"int"}"#),
                "keep the type map, or add another field of type boolean with a \"default\"",
            ),
        ),
        (
            vec![r#""name":"a","type":["null","string"]"#],
            vec![r#""name":"a","type":["null","string","long"]"#],
            row(
                IncompatibilityKind::MissingUnionBranch,
                ("/a", r#"["null","string"]"#),
                ("/a<long>", r#""long""#),
                "add long to the union in the reader's schema",
            ),
        ),
        (
            vec![r#""name":"a","type":{"type":"enum","name":"E","symbols":["A"]}"#],
            vec![r#""name":"a","type":{"type":"enum","name":"E","symbols":["A","B"]}"#],
            row(
                IncompatibilityKind::MissingEnumSymbols,
                ("/a", r#"{"type":"enum","name":"E","symbols":["A"]}"#),
                ("/a", r#"{"type":"enum","name":"E","symbols":["A","B"]}"#),
                "keep the symbols B in n.E, or add a \"default\" symbol to n.E",
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
                IncompatibilityKind::NameMismatch,
                ("/a", r#"{"type":"fixed","name":"F","size":4}"#),
                ("/a", r#"{"type":"fixed","name":"G","size":4}"#),
                "add \"aliases\": [\"n.G\"] to n.F in the reader's schema",
            ),
        ),
        (
            vec![r#""name":"a","type":{"type":"fixed","name":"F","size":4}"#],
            vec![r#""name":"a","type":{"type":"fixed","name":"F","size":8}"#],
            row(
                IncompatibilityKind::FixedSizeMismatch,
                ("/a", r#"{"type":"fixed","name":"F","size":4}"#),
                ("/a", r#"{"type":"fixed","name":"F","size":8}"#),
                "keep the size of n.F at 8, or add a field of a new type",
            ),
        ),
    ]
}

// Conformance: avro/3c
#[test]
fn findings_have_sites_and_a_suggestion() {
    for (reader, writer, expected) in table() {
        let (reader, writer) = (record(&reader), record(&writer));
        let findings = findings(&reader, &writer);
        let found = &findings[0];
        assert_eq!(found.kind, expected.kind);
        assert_eq!(found.suggestion(), expected.suggestion);
        for (schema, site, (path, text)) in [
            (&reader, found.reader(), expected.reader),
            (&writer, found.writer(), expected.writer),
        ] {
            assert_eq!(site.path, path, "{}", expected.suggestion);
            assert_eq!(&schema.source()[site.span.range()], text);
        }
    }
}

// Conformance: avro/3d
#[test]
fn incompatible_branches_are_not_called_missing() {
    let side = |field: &str| format!(r#"{{"type":"record","name":"S","fields":[{field}]}}"#);
    let reader = record(&[&format!(
        r#""name":"a","type":["null",{}]"#,
        side(r#"{"name":"x","type":"int"}"#)
    )]);
    let writer = record(&[&format!(r#""name":"a","type":["null",{}]"#, side(""))]);
    let findings = findings(&reader, &writer);
    assert_eq!(
        findings[0].suggestion(),
        "branch n.S of the union is incompatible; at /a<n.S>/x: add \"default\": 0 to field x in \
         the reader's schema"
    );
    assert_eq!(findings[0].writer().path, "/a<n.S>");
}

// Conformance: avro/3d
#[test]
fn causes_are_the_innermost_findings() {
    let inner = |fields: &str| format!(r#"{{"type":"record","name":"In","fields":[{fields}]}}"#);
    let outer = |inner: &str| {
        let field = format!(r#"{{"name":"in","type":["null",{inner}]}}"#);
        format!(r#"{{"type":"record","name":"Out","fields":[{field}]}}"#)
    };
    let more = r#"{"name":"x","type":"int"},{"name":"y","type":"int"}"#;
    let field = |branches: &str| record(&[&format!(r#""name":"a","type":["null",{branches}]"#)]);
    let ints = r#"{"type":"array","items":"int"}"#;
    let longs = r#"{"type":"array","items":"long"}"#;
    let enums = |symbols| format!(r#"{{"type":"enum","name":"E","symbols":{symbols}}}"#);
    let missing = IncompatibilityKind::ReaderFieldMissingDefaultValue;
    let table = [
        (
            outer(&inner(more)),
            outer(&inner("")),
            vec![
                ("/a<n.Out>/in<n.In>/x", missing),
                ("/a<n.Out>/in<n.In>/y", missing),
            ],
        ),
        (
            ints.to_owned(),
            longs.to_owned(),
            vec![("/a<array>[]", IncompatibilityKind::TypeMismatch)],
        ),
        (
            enums(r#"["A"]"#),
            enums(r#"["A","B"]"#),
            vec![("/a<n.E>", IncompatibilityKind::MissingEnumSymbols)],
        ),
        ("\"int\"".to_owned(), "\"string\"".to_owned(), vec![]),
        (inner(""), outer(&inner("")), vec![]),
    ];
    for (read, written, expected) in table {
        let findings = findings(&field(&read), &field(&written));
        let [found] = &findings[..] else {
            panic!("{findings:?}");
        };
        assert_eq!(found.kind, IncompatibilityKind::MissingUnionBranch);
        let causes = found.causes().iter();
        let found_causes: Vec<_> = causes
            .map(|cause| (&*cause.reader().path, cause.kind))
            .collect();
        assert_eq!(found_causes, expected, "{read} {written}");
        assert!(found.causes().iter().all(|cause| cause.causes().is_empty()));
    }
}

// Conformance: avro/3c
#[test]
fn suggestions_remove_the_finding() {
    let writer = record(&[r#""name":"amont","type":"long""#]);
    for field in [
        r#""name":"amount","type":"long","default":0"#,
        r#""name":"amount","type":"long","aliases":["amont"]"#,
    ] {
        assert_eq!(findings(&record(&[field]), &writer), []);
    }
}
