//! Each kind of change, with who it breaks.

use avouch_avro::{Schema, diff};

/// A change to the fields of a record R: old, new, and what is told.
const FIELDS: [(&str, &str, &[&str]); 17] = [
    (
        r#"{"name":"a","type":"int"}"#,
        r#"{"name":"a","type":"int"},{"name":"b","type":"int"}"#,
        &["/b: field b was added without a default; breaks new readers"],
    ),
    (
        "",
        r#"{"name":"b","type":"int","default":1}"#,
        &["/b: field b was added with a default; breaks nobody"],
    ),
    (
        r#"{"name":"a","type":"int"}"#,
        "",
        &["/: field a was removed; breaks old readers"],
    ),
    (
        r#"{"name":"a","type":"int"}"#,
        r#"{"name":"b","type":"int","aliases":["a"]}"#,
        &["/b: field a was renamed to b by an alias; breaks old readers"],
    ),
    (
        r#"{"name":"a","type":"string"}"#,
        r#"{"name":"a","type":"bytes"}"#,
        &["/a: string became bytes; breaks nobody"],
    ),
    (
        r#"{"name":"a","type":"int"}"#,
        r#"{"name":"a","type":"boolean"}"#,
        &["/a: int became boolean; breaks old and new readers"],
    ),
    (
        r#"{"name":"a","type":"int"},{"name":"b","type":"int"}"#,
        r#"{"name":"b","type":"int"},{"name":"a","type":"int"}"#,
        &["/: fields were reordered; breaks nobody"],
    ),
    (
        r#"{"name":"a","type":"int","default":1}"#,
        r#"{"name":"a","type":"int","doc":"d","order":"ignore","pii":true}"#,
        &[
            "/a: default 1 became none; breaks nobody",
            "/a: documentation changed; breaks nobody",
            "/a: sort order changed; breaks nobody",
            "/a: attributes changed; breaks nobody",
        ],
    ),
    (
        r#"{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}"#,
        r#"{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":3}}"#,
        &["/a: logical type decimal(9, 2) became decimal(9, 3); breaks nobody"],
    ),
    (
        r#"{"name":"a","type":"string"}"#,
        r#"{"name":"a","type":["null","string"]}"#,
        &["/a: string became union; breaks old readers"],
    ),
    (
        r#"{"name":"a","type":["null","string"]}"#,
        r#"{"name":"a","type":["null","string","int"]}"#,
        &["/a<int>: branch int was added; breaks old readers"],
    ),
    (
        r#"{"name":"a","type":["int","long"]}"#,
        r#"{"name":"a","type":["long"]}"#,
        &["/a: branch int was removed; breaks nobody"],
    ),
    (
        r#"{"name":"a","type":["int","null"]}"#,
        r#"{"name":"a","type":["null","int"]}"#,
        &["/a: branches were reordered; breaks nobody"],
    ),
    (
        r#"{"name":"a","type":{"type":"enum","name":"E","symbols":["A","B"]}}"#,
        r#"{"name":"a","type":{"type":"enum","name":"E","symbols":["C","A"],"default":"A"}}"#,
        &[
            "/a: symbols C were added; breaks old readers",
            "/a: symbols B were removed; breaks nobody",
            "/a: default none became \"A\"; breaks nobody",
        ],
    ),
    (
        r#"{"name":"a","type":{"type":"fixed","name":"F","size":1}}"#,
        r#"{"name":"a","type":{"type":"fixed","name":"F","size":2}}"#,
        &["/a: size 1 became 2; breaks old and new readers"],
    ),
    (
        r#"{"name":"a","type":{"type":"fixed","name":"F","size":1}}"#,
        r#"{"name":"a","type":{"type":"fixed","name":"G","size":1,"aliases":["F"]}}"#,
        &["/a: type F is called G now; breaks old readers"],
    ),
    (
        r#"{"name":"a","type":{"type":"map","values":{"type":"array","items":"int"}}}"#,
        r#"{"name":"a","type":{"type":"map","values":{"type":"array","items":"long"}}}"#,
        &["/a{}[]: int became long; breaks old readers"],
    ),
];

fn record(fields: &str) -> Schema {
    let text = format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
    Schema::parse(&text).unwrap()
}

// Conformance: avro/4
#[test]
fn each_kind_of_change_is_told_with_whom_it_breaks() {
    for (old, new, told) in FIELDS {
        let changes = diff::between(&record(old), &record(new)).unwrap();
        let found: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(found, told, "{old} to {new}");
    }
}

// Conformance: avro/4
#[test]
fn a_change_points_into_both_texts() {
    let old = record(r#"{"name":"a","type":"int"},{"name":"gone","type":["null","int"]}"#);
    let new = record(r#"{"name":"a","type":"long"}"#);
    let changes = diff::between(&old, &new).unwrap();
    let texts: Vec<_> = changes
        .iter()
        .map(|change| {
            let (from, to) = (change.old.span, change.new.span);
            (&old.source()[from.range()], &new.source()[to.range()])
        })
        .collect();
    let gone = r#"{"name":"gone","type":["null","int"]}"#;
    assert!(texts.contains(&(r#""int""#, r#""long""#)), "{texts:?}");
    assert!(texts.contains(&(gone, new.source())), "{texts:?}");
}

// Conformance: avro/4
#[test]
fn a_type_that_contains_itself_is_compared_once() {
    let side = |kind: &str| {
        record(&format!(
            r#"{{"name":"v","type":"{kind}"}},{{"name":"next","type":["null","R"]}}"#
        ))
    };
    let changes = diff::between(&side("int"), &side("long")).unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
}
