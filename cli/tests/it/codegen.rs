//! `avouch codegen`: output files and exit codes.

use std::fs;
use std::path::Path;

use tempfile::tempdir;

use crate::node::avouch;

const KIND: &str = r#"{"type": "enum", "name": "shop.Kind", "symbols": ["WEB", "SHOP"]}"#;

/// Runs `avouch codegen ARGS` in `root` and returns exit code and output.
fn codegen(root: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = avouch(root).arg("codegen").args(args).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

// Conformance: codegen/6
#[test]
fn codegen_check_reports_stale_output() {
    let root = tempdir().unwrap();
    let root = root.path();
    fs::create_dir(root.join("schemas")).unwrap();
    let schema = root.join("schemas/kind.avsc");
    fs::write(&schema, KIND).unwrap();
    let args = ["schemas", "--lang", "rust", "--out", "src/schemas"];
    let check = [&args[..], &["--check"]].concat();
    assert_eq!(codegen(root, &check).0, Some(3));
    assert!(!root.join("src").exists());
    assert_eq!(codegen(root, &args), (Some(0), String::new()));
    let code = fs::read_to_string(root.join("src/schemas/mod.rs")).unwrap();
    assert!(code.contains("pub enum Kind"), "{code}");
    assert_eq!(codegen(root, &check), (Some(0), String::new()));
    fs::write(&schema, KIND.replace("SHOP", "STORE")).unwrap();
    let (exit, text) = codegen(root, &check);
    assert!(exit == Some(3) && text.contains("not up to date"), "{text}");
    fs::write(&schema, "{}").unwrap();
    let (exit, text) = codegen(root, &args);
    assert!(
        exit == Some(1) && text.contains("schemas/kind.avsc"),
        "{text}"
    );
}

// Conformance: codegen/6
#[test]
fn codegen_prints_three_dependencies() {
    let root = tempdir().unwrap();
    let (exit, text) = codegen(root.path(), &["--dependencies"]);
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        (exit, names),
        (Some(0), vec!["avouch-avro", "jiff", "uuid"])
    );
}
