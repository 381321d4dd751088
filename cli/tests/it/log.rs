//! `avouch log`: dumping and verifying a log, and skipping corruption.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use avouch_log::{
    AppendBatch, AppendOutcome, CorruptRange, Listener, Log, LogConfig, Origin, ReadError, RealDisk,
};
use avouch_protocol::batch::Codec;
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::types::{Offset, TimestampMs, TopicPartition};
use serde_json::Value;
use tempfile::tempdir;

use crate::node::{Node, avouch};

const PARTITION: &str = "00000000-0000-0000-0000-000000000007-0";

struct Silent;

impl Listener for Silent {
    fn advanced(&self, _partitions: &[TopicPartition]) {}
    fn poisoned(&self, _reason: &str) {}
    fn low_space(&self, _is_low: bool) {}
    fn corrupt_range_found(&self, _tp: TopicPartition, _range: CorruptRange) {}
}

fn partition() -> TopicPartition {
    PARTITION.parse().unwrap()
}

fn open(root: &Path) -> Log {
    let config = LogConfig::new(root.join("data/log"));
    fs::create_dir_all(root.join("data")).unwrap();
    Log::open(config, Arc::new(RealDisk), Arc::new(Silent))
        .unwrap()
        .0
}

/// Writes a log with three batches and closes it.
fn three_batches(root: &Path) {
    let log = open(root);
    log.create_partition(partition()).unwrap();
    for value in ["one", "two", "three"] {
        let mut builder = BatchBuilder::new(Codec::None);
        builder.push(None, Some(value.as_bytes()), TimestampMs(1), &[]);
        let (sink, outcome) = sync_channel(1);
        let batch = AppendBatch {
            target: partition(),
            batch: builder.finish(),
            tag: 0,
            append_time: None,
            guard: None,
            origin: Origin::Client,
        };
        log.append(
            vec![batch],
            Box::new(move |outcomes| sink.send(outcomes[0]).unwrap()),
        );
        assert!(matches!(
            outcome.recv().unwrap(),
            AppendOutcome::Appended { .. }
        ));
    }
    log.close().unwrap();
}

fn segment(root: &Path) -> PathBuf {
    let dir = root.join("data/log/data").join(PARTITION);
    dir.join("00000000000000000000.log")
}

/// Runs `avouch log` and returns its exit code, stdout and stderr.
fn run(root: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = avouch(root);
    command
        .arg("log")
        .args(arguments)
        .args(["--data-dir", "data"]);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// Flips the last byte of the second batch.
fn corrupt(root: &Path) {
    let mut bytes = fs::read(segment(root)).unwrap();
    let at = bytes.len() - bytes.len() / 3 - 4;
    bytes[at] ^= 1;
    fs::write(segment(root), bytes).unwrap();
}

// Conformance: log/17
#[test]
fn intact_log_is_dumped_and_verified() {
    let root = tempdir().unwrap();
    three_batches(root.path());
    let (code, text, errors) = run(root.path(), &["verify"]);
    assert_eq!((code, errors.as_str()), (Some(0), ""), "{text}");
    assert!(
        text.starts_with("1 partitions, 1 segments, 3 batches"),
        "{text}"
    );
    let (code, text, _) = run(root.path(), &["dump"]);
    assert_eq!(code, Some(0));
    assert!(
        text.contains(PARTITION) && text.contains("offsets 2 to 2"),
        "{text}"
    );
    let (code, text, _) = run(root.path(), &["dump", "--json"]);
    assert_eq!(code, Some(0));
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    assert_eq!(
        (of("partition"), of("segment"), of("batch"), of("totals")),
        (1, 1, 3, 1)
    );
}

// Conformance: log/17
#[test]
fn corruption_is_reported_and_skipped() {
    let root = tempdir().unwrap();
    three_batches(root.path());
    corrupt(root.path());
    let (code, text, _) = run(root.path(), &["verify"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("CRC is wrong") && text.contains("1 faults"),
        "{text}"
    );
    let read = |offset| {
        let log = open(root.path());
        let read = log.read(partition(), Offset(offset), 1);
        log.close().unwrap();
        read
    };
    assert!(matches!(read(1), Err(ReadError::Corrupt { .. })));
    let (code, _, errors) = run(root.path(), &["skip", PARTITION, "0"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("offset 0 is not corrupt"), "{errors}");
    let (code, text, errors) = run(root.path(), &["skip", PARTITION, "1"]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(
        text.contains("offsets 1 to 1 are marked as skipped"),
        "{text}"
    );
    assert_eq!(read(1).unwrap().batches.len(), 1, "the third batch");
}

// Conformance: log/17
#[test]
fn running_broker_permits_inspection_but_not_skip() {
    let root = tempdir().unwrap();
    let node = Node::start(root.path(), &["--data-dir", "data"]);
    for command in ["verify", "dump"] {
        let (code, text, errors) = run(root.path(), &[command]);
        assert_eq!(code, Some(0), "{command}: {text}{errors}");
    }
    let (code, _, errors) = run(root.path(), &["skip", PARTITION, "0"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("is in use by another avouch"), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    node.stop("-TERM");
}

#[test]
fn missing_log_is_one_error_without_changes() {
    let root = tempdir().unwrap();
    let (code, _, errors) = run(root.path(), &["verify"]);
    assert_eq!((code, errors.lines().count()), (Some(1), 1), "{errors}");
    assert!(!root.path().join("data").exists());
}
