//! The kinds of change and the readers that they break.

use avouch_avro::{Schema, diff};

/// Old and new fields of a record R, and the expected changes.
const FIELDS: [(&str, &str, &[&str]); 17] = [
    (
        r#"{"name":"a","type":"int"}"#,
        r#"{"name":"a","type":"int"},{"name":"b","type":"int"}"#,
        &["/b: field b was added without a default; breaks new readers"],
    ),
    (
        "",
        r#"{"name":"b","type":"int","default":1}"#,
        &["/b: field b was added with a default; breaks no readers"],
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
        &["/a: type changed from string to bytes; breaks no readers"],
    ),
    (
        r#"{"name":"a","type":"int"}"#,
        r#"{"name":"a","type":"boolean"}"#,
        &["/a: type changed from int to boolean; breaks old and new readers"],
    ),
    (
        r#"{"name":"a","type":"int"},{"name":"b","type":"int"}"#,
        r#"{"name":"b","type":"int"},{"name":"a","type":"int"}"#,
        &["/: fields were reordered; breaks no readers"],
    ),
    (
        r#"{"name":"a","type":"int","default":1}"#,
        r#"{"name":"a","type":"int","doc":"d","order":"ignore","pii":true}"#,
        &[
            "/a: default changed from 1 to none; breaks no readers",
            "/a: documentation changed; breaks no readers",
            "/a: sort order changed; breaks no readers",
            "/a: attributes changed; breaks no readers",
        ],
    ),
    (
        r#"{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}}"#,
        r#"{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":3}}"#,
        &["/a: logical type changed from decimal(9, 2) to decimal(9, 3); breaks no readers"],
    ),
    (
        r#"{"name":"a","type":"string"}"#,
        r#"{"name":"a","type":["null","string"]}"#,
        &["/a: type changed from string to union; breaks old readers"],
    ),
    (
        r#"{"name":"a","type":["null","string"]}"#,
        r#"{"name":"a","type":["null","string","int"]}"#,
        &["/a<int>: branch int was added; breaks old readers"],
    ),
    (
        r#"{"name":"a","type":["int","long"]}"#,
        r#"{"name":"a","type":["long"]}"#,
        &["/a: branch int was removed; breaks no readers"],
    ),
    (
        r#"{"name":"a","type":["int","null"]}"#,
        r#"{"name":"a","type":["null","int"]}"#,
        &["/a: branches were reordered; breaks no readers"],
    ),
    (
        r#"{"name":"a","type":{"type":"enum","name":"E","symbols":["A","B"]}}"#,
        r#"{"name":"a","type":{"type":"enum","name":"E","symbols":["C","A"],"default":"A"}}"#,
        &[
            "/a: symbols C were added; breaks old readers",
            "/a: symbols B were removed; breaks no readers",
            "/a: default changed from none to \"A\"; breaks no readers",
        ],
    ),
    (
        r#"{"name":"a","type":{"type":"fixed","name":"F","size":1}}"#,
        r#"{"name":"a","type":{"type":"fixed","name":"F","size":2}}"#,
        &["/a: size changed from 1 to 2; breaks old and new readers"],
    ),
    (
        r#"{"name":"a","type":{"type":"fixed","name":"F","size":1}}"#,
        r#"{"name":"a","type":{"type":"fixed","name":"G","size":1,"aliases":["F"]}}"#,
        &["/a: type F was renamed to G; breaks old readers"],
    ),
    (
        r#"{"name":"a","type":{"type":"map","values":{"type":"array","items":"int"}}}"#,
        r#"{"name":"a","type":{"type":"map","values":{"type":"array","items":"long"}}}"#,
        &["/a{}[]: type changed from int to long; breaks old readers"],
    ),
];

fn record(fields: &str) -> Schema {
    let text = format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
    Schema::parse(&text).unwrap()
}

// Conformance: avro/4
#[test]
fn changes_list_the_readers_they_break() {
    for (old, new, expected) in FIELDS {
        let changes = diff::between(&record(old), &record(new)).unwrap();
        let found: Vec<_> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{old} to {new}");
    }
}

// Conformance: avro/4
#[test]
fn changes_have_sites_in_both_schemas() {
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
fn recursive_types_are_compared_once() {
    let side = |kind: &str| {
        record(&format!(
            r#"{{"name":"v","type":"{kind}"}},{{"name":"next","type":["null","R"]}}"#
        ))
    };
    let changes = diff::between(&side("int"), &side("long")).unwrap();
    assert_eq!(changes.len(), 1, "{changes:?}");
}
