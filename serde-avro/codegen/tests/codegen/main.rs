//! The generator through its public interface: the text of its output, errors, and files.

#![expect(clippy::unwrap_used, reason = "test helpers panic like their tests")]

use std::fs;

use avouch_codegen::{Error, Generator};
use tempfile::tempdir;

const ORDER: &str = r#"{"type": "record", "name": "shop.Order", "doc": "An order.", "fields": [
    {"name": "id", "type": "string", "doc": "Unique."},
    {"name": "total", "type": ["null", "Money"], "default": null},
    {"name": "kind", "type": "Kind", "default": "WEB"}]}"#;
const MONEY: &str = r#"{"type": "record", "name": "shop.Money", "fields": [
    {"name": "units", "type": {"type": "bytes", "logicalType": "decimal",
                               "precision": 9, "scale": 2}}]}"#;
const KIND: &str = r#"{"type": "enum", "name": "shop.Kind", "symbols": ["WEB", "SHOP"]}"#;

fn error_of(files: &[(&str, &str)]) -> String {
    let result = Generator::new().generate(files.iter().copied());
    result.unwrap_err().to_string()
}

// Conformance: codegen/1
#[test]
fn output_is_stable_in_any_order() {
    let files = [
        ("order.avsc", ORDER),
        ("money.avsc", MONEY),
        ("kind.avsc", KIND),
    ];
    let code = Generator::new().generate(files).unwrap();
    let expected = include_str!("../data/order.txt");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/order.txt");
        fs::write(path, &code).unwrap();
    } else {
        assert_eq!(
            code, expected,
            "UPDATE_SNAPSHOTS=1 writes tests/data/order.txt"
        );
    }
    let mut reversed = files;
    reversed.reverse();
    assert_eq!(Generator::new().generate(reversed).unwrap(), code);
}

// Conformance: codegen/5
#[test]
fn errors_have_file_line_and_solution() {
    let record = |fields: &str| {
        format!("{{\"type\": \"record\", \"name\": \"R\",\n \"fields\": [{fields}]}}")
    };
    let endless = record(r#"{"name": "next", "type": "R"}"#);
    let empty = record("\n{\"name\": \"u\", \"type\":\n []}");
    let other = KIND.replace("SHOP", "STORE");
    let renamed = record("").replace("\"R\"", "\"R\", \"x-rust-name\": \"a b\"");
    let invalid = record(r#"{"name": "a", "type": "text"}"#);
    let table: [(&[(&str, &str)], &str); 6] = [
        (
            &[("r.avsc", &endless)],
            "r.avsc:1: every value of \"R\" contains another one, so it has no value; make the \
             field \"next\" a union with null",
        ),
        (
            &[("r.avsc", &empty)],
            "r.avsc:4: the union has no branches, so it has no value; add a branch",
        ),
        (
            &[("a.avsc", KIND), ("b.avsc", &other)],
            "b.avsc:1: type \"shop.Kind\" is also defined in a.avsc, differently; rename one of \
             them or use the same definition",
        ),
        (
            &[("r.avsc", &renamed)],
            "r.avsc:1: x-rust-name \"a b\" is not a name of a Rust type; expected letters, such \
             as Money",
        ),
        (
            &[("r.avsc", &invalid)],
            "r.avsc: unknown type \"text\"; expected a definition in this file or another .avsc \
             file",
        ),
        (
            &[("order.avsc", ORDER), ("money.avsc", MONEY)],
            "order.avsc: unknown type \"shop.Kind\"; expected a definition in this file or \
             another .avsc file",
        ),
    ];
    for (files, expected) in table {
        assert_eq!(error_of(files), expected);
    }
}

// Conformance: codegen/5
#[test]
fn options_of_unknown_types_are_errors() {
    let generate = |generator: Generator| generator.generate([("money.avsc", MONEY)]);
    let unknown = generate(Generator::new().rename("shop.Price", "Cash"));
    assert!(matches!(unknown, Err(Error::UnknownOption { name }) if name == "shop.Price"));
    let unknown = generate(Generator::new().replace_field("shop.Money.unit", "crate::Units"));
    assert!(matches!(unknown, Err(Error::UnknownOption { .. })));
    let invalid = generate(Generator::new().replace_type("shop.Money", "not a type"));
    assert!(matches!(invalid, Err(Error::InvalidType { .. })));
    let invalid = generate(Generator::new().derive("!"));
    assert!(matches!(invalid, Err(Error::InvalidType { .. })));
}

// Conformance: codegen/1
#[test]
fn newest_versions_of_folders_are_generated() {
    let root = tempdir().unwrap();
    let subject = root.path().join("order-value");
    fs::create_dir_all(&subject).unwrap();
    let version = |name: &str, text: &str| fs::write(subject.join(name), text).unwrap();
    version("9.avsc", &KIND.replace("SHOP", "OLD"));
    version("10.avsc", KIND);
    let code = Generator::new().generate_files([root.path()]).unwrap();
    assert!(code.contains("Shop") && !code.contains("Old"), "{code}");
    assert!(code.contains("Some(\"order-value\")"), "{code}");
    let old = Generator::new()
        .generate_files([subject.join("9.avsc")])
        .unwrap();
    assert!(old.contains("Old"), "{old}");
    let empty = Generator::new().generate_files([root.path().join("order-value")]);
    assert!(empty.is_ok());
    let missing = Generator::new().generate_files([root.path().join("nowhere")]);
    assert!(matches!(missing, Err(Error::Io { .. })));
}

// Conformance: codegen/5
#[test]
fn failed_runs_keep_the_old_output() {
    let root = tempdir().unwrap();
    let (schema, out) = (
        root.path().join("kind.avsc"),
        root.path().join("out/mod.rs"),
    );
    let write = || Generator::new().write_files([&schema], &out);
    fs::write(&schema, "{").unwrap();
    assert!(write().is_err());
    assert!(!root.path().join("out").exists());
    fs::write(&schema, KIND).unwrap();
    write().unwrap();
    assert!(Generator::new().is_current([&schema], &out).unwrap());
    let old = fs::read(&out).unwrap();
    fs::write(&schema, KIND.replace("SHOP", "1")).unwrap();
    assert!(write().is_err());
    assert_eq!(fs::read(&out).unwrap(), old);
    fs::write(&schema, KIND.replace("SHOP", "STORE")).unwrap();
    assert!(!Generator::new().is_current([&schema], &out).unwrap());
    assert_eq!(fs::read_dir(root.path().join("out")).unwrap().count(), 1);
}
