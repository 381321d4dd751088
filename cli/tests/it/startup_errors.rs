//! Startup errors of `serve`: one line on stderr, exit code 1, and no change of the disk.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use tempfile::tempdir;

use crate::node::{Node, avouch};

/// Runs `serve` in `directory`, expects an error, and returns its line.
pub(crate) fn error(directory: &Path, flags: &[&str]) -> String {
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
fn locked_data_directory_names_the_holder() {
    let root = tempdir().unwrap();
    let first = Node::start(root.path(), &["--data-dir", "data"]);
    let line = error(
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

// Conformance: operation/11
#[cfg(unix)]
#[test]
fn too_few_file_handles_are_named() {
    let root = tempdir().unwrap();
    let serve = avouch(root.path());
    let output = std::process::Command::new("/bin/sh")
        .args(["-c", r#"ulimit -n 200; exec "$0" serve"#])
        .arg(serve.get_program())
        .current_dir(root.path())
        .env_clear()
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let expected = "avouch: the limit of open files is 200; expected at least 372 (ulimit -n)\n";
    assert_eq!(stderr, expected);
    assert!(names(root.path()).is_empty());
}

// Conformance: main-job/1e
#[test]
fn port_in_use_is_named() {
    let root = tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let used = listener.local_addr().unwrap().to_string();
    for (flag, other) in [
        ("--kafka-listen", "--http-listen"),
        ("--http-listen", "--kafka-listen"),
    ] {
        let line = error(root.path(), &[flag, &used, other, "127.0.0.1:0"]);
        assert!(
            line.contains(&format!("{} {used} is in use", &flag[2..])),
            "{line}"
        );
        assert!(names(root.path()).is_empty());
    }
}

// Conformance: main-job/1e
#[test]
fn unusable_data_directory_is_named() {
    let root = tempdir().unwrap();
    fs::write(root.path().join("file"), "").unwrap();
    let free = [
        "--kafka-listen",
        "127.0.0.1:0",
        "--http-listen",
        "127.0.0.1:0",
    ];
    let line = error(
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
fn newer_data_format_is_rejected() {
    let root = tempdir().unwrap();
    let data = root.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("FORMAT"), "4000000000\n").unwrap();
    let line = error(root.path(), &["--data-dir", "data"]);
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
fn invalid_broker_configs_are_rejected() {
    let root = tempdir().unwrap();
    for (setting, expected) in [
        (
            "num.partition=3",
            "unknown broker config \"num.partition\"; did you mean \"num.partitions\"?",
        ),
        (
            "num.partitions=none",
            "invalid value \"none\" of num.partitions; expected a 32-bit integer from 1 to 1000",
        ),
        (
            "num.partitions",
            "invalid setting \"num.partitions\"; expected KEY=VALUE",
        ),
        ("num.io.threads=8", "has no effect in Avouch"),
        ("listeners=PLAINTEXT://:9092", "is set by --kafka-listen"),
        (
            "log.retention.ms=-2",
            "invalid value \"-2\" of log.retention.ms; expected a 64-bit integer of at least -1",
        ),
    ] {
        let line = error(root.path(), &["--broker-config", setting]);
        assert!(line.starts_with("avouch: broker-config: "), "{line}");
        assert!(line.contains(expected), "{line}");
        assert!(names(root.path()).is_empty());
    }
}

// Conformance: main-job/1b
#[test]
fn unknown_keys_are_rejected_with_a_suggestion() {
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
        let line = error(root.path(), &[]);
        assert!(
            line.contains("avouch.toml") && line.contains(suggestion),
            "{line}"
        );
    }
    assert_eq!(names(root.path()), ["avouch.toml"]);
}

// Conformance: main-job/1e
#[test]
fn non_loopback_listeners_require_a_flag() {
    let root = tempdir().unwrap();
    for flag in ["--kafka-listen", "--http-listen"] {
        let line = error(root.path(), &[flag, "0.0.0.0:0"]);
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

// Conformance: main-job/1e
#[test]
fn system_error_is_printed_once() {
    let root = tempdir().unwrap();
    fs::create_dir(root.path().join("data")).unwrap();
    fs::write(root.path().join("data/log"), "not a directory").unwrap();
    let line = error(root.path(), &["--data-dir", "data"]);
    assert!(line.contains("data/log"), "{line}");
    assert_eq!(line.matches("os error").count(), 1, "{line}");
}

// Conformance: registry/stores-15
#[test]
fn lost_registry_database_prevents_start() {
    let root = tempdir().unwrap();
    let flags = ["--data-dir", "data"];
    let accept_loss = || {
        let mut command = avouch(root.path());
        command.args(["schema", "accept-loss"]).args(flags);
        let output = command.output().unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    Node::start(root.path(), &flags).stop("-TERM");
    let (accepted, stderr) = accept_loss();
    assert!(!accepted && stderr.contains("is not lost"), "{stderr}");

    let database = root.path().join("data/registry.sqlite");
    fs::remove_file(&database).unwrap();
    let line = error(root.path(), &flags);
    assert!(line.contains("data/registry.sqlite is missing"), "{line}");
    assert!(line.contains("avouch schema accept-loss"), "{line}");
    assert!(!database.exists());

    let (accepted, stderr) = accept_loss();
    assert!(accepted, "{stderr}");
    Node::start(root.path(), &flags).stop("-TERM");
}
