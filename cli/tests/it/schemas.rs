//! `avouch schema`: output and exit codes.

use std::fs;
use std::path::Path;

use tempfile::tempdir;

use crate::node::{Node, avouch, http_status};

const V1: &str = r#"{"type": "record", "name": "P", "fields": [{"name": "id", "type": "long"}]}"#;
/// Compatible with version 1 in both directions.
const ADDED_WITH_DEFAULT: &str = r#"{"type": "record", "name": "P", "fields": [
    {"name": "id", "type": "long"}, {"name": "note", "type": "string", "default": ""}]}"#;
/// Cannot read data of version 1, which can read its data.
const ADDED_WITHOUT_DEFAULT: &str = r#"{"type": "record", "name": "P", "fields": [
    {"name": "id", "type": "long"}, {"name": "note", "type": "string"}]}"#;

fn write_versions(root: &Path, subject: &str, versions: &[&str]) {
    let folder = root.join("schemas").join(subject);
    fs::create_dir_all(&folder).unwrap();
    for (number, text) in (1..).zip(versions) {
        fs::write(folder.join(format!("{number}.avsc")), text).unwrap();
    }
}

/// Runs `avouch schema ARGS` in `root` and returns exit code and output.
fn schema(root: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = avouch(root).arg("schema").args(args).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn check_applies_the_requested_level() {
    let cases: [(&[&str], &str, Option<i32>); 7] = [
        (&[V1], "BACKWARD", Some(0)),
        (&[V1, ADDED_WITH_DEFAULT], "BACKWARD", Some(0)),
        (&[V1, ADDED_WITH_DEFAULT], "FULL", Some(0)),
        (&[V1, ADDED_WITHOUT_DEFAULT], "BACKWARD", Some(1)),
        (&[V1, ADDED_WITHOUT_DEFAULT], "FORWARD", Some(0)),
        (
            &[V1, ADDED_WITH_DEFAULT, ADDED_WITHOUT_DEFAULT],
            "BACKWARD",
            Some(0),
        ),
        (
            &[V1, ADDED_WITH_DEFAULT, ADDED_WITHOUT_DEFAULT],
            "BACKWARD_TRANSITIVE",
            Some(1),
        ),
    ];
    for (versions, level, code) in cases {
        let root = tempdir().unwrap();
        write_versions(root.path(), "p-value", versions);
        let (found, text) = schema(root.path(), &["check", "schemas", "--compatibility", level]);
        assert_eq!(
            found,
            code,
            "{} versions at {level}: {text}",
            versions.len()
        );
    }
}

#[test]
fn check_reports_versions_kind_and_path() {
    let root = tempdir().unwrap();
    write_versions(root.path(), "fine-value", &[V1]);
    write_versions(root.path(), "p-value", &[V1, ADDED_WITHOUT_DEFAULT]);
    let (code, text) = schema(root.path(), &["check", "schemas"]);
    assert_eq!(code, Some(1));
    let expected = "fine-value: compatible (BACKWARD, 1 versions)\n\
         p-value: INCOMPATIBLE (BACKWARD, 2 versions)\n  \
         version 2 cannot read data of version 1\n    \
         READER_FIELD_MISSING_DEFAULT_VALUE at /fields/1: note\n";
    assert_eq!(text, expected);
}

#[test]
fn check_without_valid_schemas_fails() {
    let root = tempdir().unwrap();
    fs::create_dir(root.path().join("empty")).unwrap();
    write_versions(root.path(), "broken-value", &["{\"type\": \"recrod\"}"]);
    write_versions(root.path(), "latest-value", &[]);
    fs::write(root.path().join("schemas/latest-value/latest.avsc"), V1).unwrap();
    let cases = [
        ("missing", "missing"),
        ("empty", "no schema"),
        ("schemas/broken-value", "1.avsc"),
        ("schemas/latest-value/latest.avsc", "expected a version"),
    ];
    for (path, part) in cases {
        let (code, text) = schema(root.path(), &["check", path]);
        assert_eq!(code, Some(1), "{path}: {text}");
        assert!(
            text.contains(part) && text.lines().count() == 1,
            "{path}: {text}"
        );
    }
}

const CURRENCY: &str = r#"{"type": "enum", "name": "shop.Currency", "symbols": ["EUR"]}"#;
const MONEY: &str = r#"{"type": "record", "name": "shop.Money", "fields": [
    {"name": "units", "type": "long"}, {"name": "currency", "type": "Currency"}]}"#;
const MONEY_WITHOUT_UNITS: &str = r#"{"type": "record", "name": "shop.Money", "fields": [
    {"name": "currency", "type": "Currency"}]}"#;

// Conformance: operation/7
#[test]
fn check_resolves_types_of_other_subjects() {
    let root = tempdir().unwrap();
    write_versions(root.path(), "currency", &[CURRENCY]);
    write_versions(root.path(), "money-value", &[MONEY_WITHOUT_UNITS, MONEY]);
    let (code, text) = schema(root.path(), &["check", "schemas/money-value"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("READER_FIELD_MISSING_DEFAULT_VALUE"),
        "{text}"
    );
    let forward = ["check", "schemas", "--compatibility", "FORWARD"];
    let (code, text) = schema(root.path(), &forward);
    assert_eq!(code, Some(0), "{text}");

    fs::remove_dir_all(root.path().join("schemas/currency")).unwrap();
    let (code, text) = schema(root.path(), &["check", "schemas"]);
    assert_eq!(code, Some(1), "{text}");
    let expected = "money-value/1.avsc: unknown type \"shop.Currency\"";
    assert!(
        text.contains(expected) && text.lines().count() == 1,
        "{text}"
    );
}

// Conformance: operation/7
#[test]
fn register_registers_references_first() {
    let root = tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(root.path().join(name), text).unwrap();
    let order = r#"{"type": "record", "name": "shop.Order", "fields": [
        {"name": "total", "type": "Money"}]}"#;
    write("order.avsc", order);
    write("money.avsc", MONEY);
    write("currency.avsc", CURRENCY);
    let node = Node::start(root.path(), &["--registry-only", "--data-dir", "data"]);
    let url = format!("http://{}", node.http());
    let register = || {
        let flags = ["register", "--registry", &url, "--subject", "orders-value"];
        schema(root.path(), &[&flags[..], &["order.avsc"]].concat())
    };
    assert_eq!(register(), (Some(0), "3\n".to_owned()));
    assert_eq!(register(), (Some(0), "3\n".to_owned()));
    for subject in ["shop.Currency", "shop.Money", "orders-value"] {
        let path = format!("/subjects/{subject}/versions/1");
        assert_eq!(http_status(&node.http(), "GET", &path).0, 200, "{subject}");
    }

    let cyclic = r#"{"type": "record", "name": "shop.Currency", "fields": [
        {"name": "order", "type": "Order"}]}"#;
    write("currency.avsc", cyclic);
    let (code, text) = register();
    assert_eq!(code, Some(1));
    assert!(text.contains("refer to each other in a cycle"), "{text}");
}

#[test]
fn register_prints_the_id_or_the_reason() {
    let root = tempdir().unwrap();
    write_versions(root.path(), "p-value", &[V1, ADDED_WITHOUT_DEFAULT]);
    let node = Node::start(root.path(), &["--registry-only", "--data-dir", "data"]);
    let url = format!("http://{}", node.http());
    let register = |file: &str| {
        schema(
            root.path(),
            &["register", "--registry", &url, "--subject", "p-value", file],
        )
    };
    assert_eq!(
        register("schemas/p-value/1.avsc"),
        (Some(0), "1\n".to_owned())
    );
    assert_eq!(
        register("schemas/p-value/1.avsc"),
        (Some(0), "1\n".to_owned())
    );
    let (code, text) = register("schemas/p-value/2.avsc");
    assert_eq!(code, Some(1));
    assert!(
        text.contains("READER_FIELD_MISSING_DEFAULT_VALUE"),
        "{text}"
    );
    node.stop("-TERM");
}

/// Records in Confluent's form: settings, a live version, a soft-deleted one.
const RECORDS: [&str; 5] = [
    r#"{"key":{"keytype":"NOOP","magic":0},"value":null}"#,
    concat!(
        r#"{"key":{"keytype":"CONFIG","subject":null,"magic":0},"#,
        r#""value":{"compatibilityLevel":"FULL"}}"#,
    ),
    r#"{"key":{"keytype":"MODE","subject":null,"magic":0},"value":{"mode":"READONLY"}}"#,
    concat!(
        r#"{"key":{"keytype":"SCHEMA","subject":"a","version":3,"magic":1},"value":"#,
        r#"{"subject":"a","version":3,"id":7,"schema":"\"int\"","deleted":false,"ts":1}}"#,
    ),
    concat!(
        r#"{"key":{"keytype":"SCHEMA","subject":"a","version":4,"magic":1},"value":"#,
        r#"{"subject":"a","version":4,"id":9,"schema":"\"long\"","deleted":true}}"#,
    ),
];

// Conformance: registry/rule-15
#[test]
fn import_restores_an_export() {
    let root = tempdir().unwrap();
    fs::write(root.path().join("in.jsonl"), RECORDS.join("\n")).unwrap();
    let import = |name: &str, file: &str| {
        let flags = ["--registry-only", "--data-dir", name];
        let node = Node::start(root.path(), &flags);
        let url = format!("http://{}", node.http());
        let imported = schema(root.path(), &["import", "--registry", &url, file]);
        assert_eq!(imported.0, Some(0), "{}", imported.1);
        (node, url)
    };
    let (first, url) = import("first", "in.jsonl");
    let get = |node: &Node, path: &str| http_status(&node.http(), "GET", path).1;
    assert_eq!(get(&first, "/mode"), r#"{"mode":"READONLY"}"#);
    assert_eq!(get(&first, "/config"), r#"{"compatibilityLevel":"FULL"}"#);
    assert_eq!(
        get(&first, "/subjects/a/versions?deletedAsNegative=true"),
        "[3,-4]"
    );
    let exported = schema(root.path(), &["export", "--registry", &url, "out.jsonl"]);
    assert_eq!(exported, (Some(0), "5 records\n".to_owned()));

    let (second, url) = import("second", "out.jsonl");
    for path in [
        "/schemas?deleted=true",
        "/config",
        "/mode",
        "/schemas/ids/9/versions?deleted=true",
    ] {
        assert_eq!(get(&first, path), get(&second, path), "{path}");
    }
    let again = schema(root.path(), &["export", "--registry", &url, "again.jsonl"]);
    assert_eq!(again.0, Some(0));
    let file = |name: &str| fs::read_to_string(root.path().join(name)).unwrap();
    assert_eq!(file("out.jsonl"), file("again.jsonl"));
    first.stop("-TERM");
    second.stop("-TERM");
}
