//! What `serve` refuses: each time one line on stderr, exit code 1, and a disk left as it was.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use tempfile::tempdir;

use crate::node::{Node, avouch};

/// Runs `serve` in `directory`, expects a refusal, and returns its one line.
fn refused(directory: &Path, flags: &[&str]) -> String {
    let output = avouch(directory).arg("serve").args(flags).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(output.stdout.is_empty());
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("avouch: "), "{stderr}");
    stderr
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

// Conformance: main-job/1c
#[test]
fn a_second_serve_on_one_data_directory_names_the_first() {
    let root = tempdir().unwrap();
    let first = Node::start(root.path(), &["--data-dir", "data"]);
    let line = refused(
        root.path(),
        &[
            "--data-dir",
            "data",
            "--kafka-listen",
            "127.0.0.1:0",
            "--http-listen",
            "127.0.0.1:0",
        ],
    );
    let expected = format!("data is in use by another avouch (pid {})", first.pid());
    assert!(line.contains(&expected), "{line}");
    assert!(first.ready_file().exists());
    assert_eq!(first.stop("-TERM").0, Some(0));
}

// Conformance: main-job/1e
#[test]
fn a_port_in_use_is_named_and_nothing_is_made() {
    let root = tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    for (flag, other) in [
        ("--kafka-listen", "--http-listen"),
        ("--http-listen", "--kafka-listen"),
    ] {
        let line = refused(root.path(), &[flag, &taken, other, "127.0.0.1:0"]);
        assert!(
            line.contains(&format!("{} {taken} is in use", &flag[2..])),
            "{line}"
        );
        assert!(names(root.path()).is_empty());
    }
}

// Conformance: main-job/1e
#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let root = tempdir().unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    let free = [
        "--kafka-listen",
        "127.0.0.1:0",
        "--http-listen",
        "127.0.0.1:0",
    ];
    let line = refused(
        root.path(),
        &[&["--data-dir", "file/data"], &free[..]].concat(),
    );
    assert!(
        line.contains("data directory file/data cannot be used"),
        "{line}"
    );
    assert_eq!(names(root.path()), ["file"]);
}

// Conformance: main-job/1e
#[test]
fn data_of_a_newer_version_is_left_alone() {
    let root = tempdir().unwrap();
    let data = root.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("FORMAT"), "4000000000\n").unwrap();
    let line = refused(root.path(), &["--data-dir", "data"]);
    assert!(
        line.contains("written by a newer avouch (format 4000000000"),
        "{line}"
    );
    assert_eq!(names(&data), ["FORMAT"]);
    assert_eq!(
        fs::read_to_string(data.join("FORMAT")).unwrap(),
        "4000000000\n"
    );
}

// Conformance: broker/admin-19
#[test]
fn a_broker_config_that_is_none_or_does_not_fit_is_refused_in_one_line() {
    let root = tempdir().unwrap();
    for (setting, expected) in [
        (
            "num.partition=3",
            "there is no broker config \"num.partition\"; did you mean \"num.partitions\"?",
        ),
        (
            "num.partitions=none",
            "num.partitions: \"none\" is not a whole number",
        ),
        ("num.partitions", "\"num.partitions\" is not KEY=VALUE"),
        ("num.io.threads=8", "has no effect here"),
        ("listeners=PLAINTEXT://:9092", "is given by --kafka-listen"),
        (
            "log.retention.ms=-2",
            "log.retention.ms: -2 is below the least value -1",
        ),
    ] {
        let line = refused(root.path(), &["--broker-config", setting]);
        assert!(line.starts_with("avouch: broker-config: "), "{line}");
        assert!(line.contains(expected), "{line}");
        assert!(names(root.path()).is_empty());
    }
}

// Conformance: main-job/1b
#[test]
fn an_unknown_key_is_refused_with_a_suggestion() {
    let root = tempdir().unwrap();
    let cases = [
        (
            "[serve]\nkafka-lisen = '127.0.0.1:0'",
            "did you mean \"kafka-listen\"?",
        ),
        (
            "[client]\nregistery = 'http://x'",
            "did you mean \"registry\"?",
        ),
    ];
    for (content, suggestion) in cases {
        fs::write(root.path().join("avouch.toml"), content).unwrap();
        let line = refused(root.path(), &[]);
        assert!(
            line.contains("avouch.toml") && line.contains(suggestion),
            "{line}"
        );
    }
    assert_eq!(names(root.path()), ["avouch.toml"]);
}

// Conformance: main-job/1e
#[test]
fn leaving_loopback_without_authentication_needs_the_explicit_flag() {
    let root = tempdir().unwrap();
    for flag in ["--kafka-listen", "--http-listen"] {
        let line = refused(root.path(), &[flag, "0.0.0.0:0"]);
        assert!(line.contains("allow-insecure-listen"), "{line}");
    }
    assert!(names(root.path()).is_empty());

    let flags = ["--kafka-listen", "0.0.0.0:0", "--allow-insecure-listen"];
    let output = avouch(root.path())
        .arg("serve")
        .args(flags)
        .args(["--broker-only"])
        .output();
    let stderr = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(
        stderr.contains("registry-url") && !stderr.contains("insecure"),
        "{stderr}"
    );
}
