//! The log as the server runs it: with threads, on the file system of the machine.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::{fs, io};

use avouch_protocol::types::{Offset, TimestampMs};

use super::batches::{Spec, id_of, tp};
use super::harness::{TestListener, small};
use crate::{AppendOutcome, Log, LogConfig, LogError, RealDisk, RecoveryReport};

fn open(config: LogConfig) -> (Log, RecoveryReport) {
    Log::open(
        config,
        Arc::new(RealDisk),
        Arc::new(TestListener::default()),
    )
    .unwrap()
}

fn append(log: &Log, spec: Spec, topic: u128) -> AppendOutcome {
    let (sink, outcome) = sync_channel(1);
    let done = Box::new(move |outcomes: Vec<AppendOutcome>| sink.send(outcomes[0]).unwrap());
    log.append(vec![spec.append_to(tp(topic))], done);
    outcome.recv().unwrap()
}

fn ids(log: &Log, topic: u128) -> Vec<u64> {
    let bounds = log.bounds(tp(topic)).unwrap();
    let mut all = Vec::new();
    let mut next = bounds.log_start;
    while next < bounds.high_watermark {
        let read = log.read(tp(topic), next, 3000).unwrap();
        all.extend(read.batches.iter().map(|batch| id_of(batch)));
        next = next.plus(i64::try_from(read.batches.len()).unwrap());
    }
    all
}

#[test]
fn concurrent_appends_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path().join("nested/data"));
    let (log, report) = open(config.clone());
    assert_eq!(report, RecoveryReport::default());
    std::thread::scope(|scope| {
        for topic in 1..=6u128 {
            let log = log.clone();
            log.create_partition(tp(topic)).unwrap();
            scope.spawn(move || {
                for sequence in 0..200 {
                    let producer = Some((i64::try_from(topic).unwrap(), 0, sequence));
                    let bytes = 80 + (usize::try_from(sequence).unwrap() * 37) % 1500;
                    let spec = Spec {
                        producer,
                        bytes,
                        ..Spec::new(u64::try_from(sequence).unwrap())
                    };
                    let outcome = append(&log, spec, topic);
                    let base_offset = Offset(sequence.into());
                    assert!(
                        matches!(outcome, AppendOutcome::Appended { base_offset: at, .. }
                            if at == base_offset),
                        "{outcome:?}"
                    );
                }
            });
        }
    });
    let check = |log: &Log| {
        assert_eq!(log.known_partitions().len(), 6);
        for topic in 1..=6 {
            assert_eq!(ids(log, topic), (0..200).collect::<Vec<u64>>());
        }
    };
    check(&log);
    log.close().unwrap();
    check(&log);
    assert_eq!(append(&log, Spec::new(1), 1), AppendOutcome::StorageFailed);
    log.close().unwrap();
    let (log, report) = open(config);
    assert_eq!(
        report.frames_replayed, 0,
        "a closed log has nothing to replay"
    );
    check(&log);
    let again = Spec {
        producer: Some((1, 0, 199)),
        bytes: 80 + (199 * 37) % 1500,
        ..Spec::new(199)
    };
    assert!(matches!(
        append(&log, again, 1),
        AppendOutcome::Duplicate { .. }
    ));
}

/// Large frames are written from their own buffer.
// Conformance: log-proof/16
#[test]
fn large_frames_are_replayed_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig {
        wal_file_bytes: 1 << 20,
        wal_bytes_max: 8 << 20,
        // Nothing is written during the copy.
        checkpoint_bytes: 8 << 20,
        tail_bytes_max: 8 << 20,
        ..small(dir.path())
    };
    let (log, _) = open(config.clone());
    log.create_partition(tp(1)).unwrap();
    let sizes = [40 << 10, 200, 200 << 10, 70_001, 33_000];
    for (id, bytes) in (0..).zip(sizes) {
        let spec = Spec {
            bytes,
            ..Spec::new(id)
        };
        let outcome = append(&log, spec, 1);
        assert!(
            matches!(outcome, AppendOutcome::Appended { .. }),
            "{outcome:?}"
        );
    }
    // The files as a killed process leaves them.
    let left = tempfile::tempdir().unwrap();
    copy(dir.path(), left.path());
    let (reopened, report) = open(LogConfig {
        dir: left.path().to_owned(),
        ..config
    });
    assert!(report.missing_frames.is_empty(), "{report:?}");
    assert_eq!(ids(&reopened, 1), [0, 1, 2, 3, 4]);
    log.close().unwrap();
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            match fs::copy(entry.path(), target) {
                // A preallocated file; it may or may not be complete.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                copied => drop(copied.unwrap()),
            }
        }
    }
}

#[test]
fn retention_and_deletion_give_the_space_back() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(small(dir.path()));
    for topic in [1, 2] {
        log.create_partition(tp(topic)).unwrap();
        for id in 0..50u32 {
            let max_timestamp = i64::from(id) * 10;
            let spec = Spec {
                bytes: 1000,
                max_timestamp,
                ..Spec::new(id.into())
            };
            append(&log, spec, topic);
        }
    }
    log.close().unwrap();
    let (log, _) = open(small(dir.path()));
    let unlimited = log
        .enforce_retention(tp(1), TimestampMs(500), None, None)
        .unwrap();
    assert_eq!((unlimited.segments, unlimited.log_start), (0, Offset(0)));
    // Each segment holds four batches; the active segment is never deleted.
    let deleted = log
        .enforce_retention(tp(1), TimestampMs(500), Some(400), None)
        .unwrap();
    assert_eq!(
        (deleted.segments, deleted.bytes, deleted.log_start),
        (2, 8000, Offset(8))
    );
    let deleted = log
        .enforce_retention(tp(1), TimestampMs(500), None, Some(10_000))
        .unwrap();
    assert_eq!(deleted.log_start, Offset(40));
    assert_eq!(ids(&log, 1), (40..50).collect::<Vec<u64>>());
    log.delete_topic(tp(2).topic).unwrap();
    assert_eq!(log.bounds(tp(2)), None);
    assert_eq!(
        append(&log, Spec::new(1), 2),
        AppendOutcome::UnknownPartition
    );
    let unknown = log.enforce_retention(tp(2), TimestampMs(0), None, None);
    assert_eq!(unknown, Err(LogError::UnknownPartition));
    log.close().unwrap();
    let names = |dir: std::path::PathBuf| -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    assert_eq!(names(dir.path().join("data")), [tp(1).to_string()]);
    let segments = names(dir.path().join("data").join(tp(1).to_string()));
    let logs = segments
        .iter()
        .filter(|name| name.ends_with(".log"))
        .count();
    assert_eq!(logs, 3, "{segments:?}");
    let (log, _) = open(small(dir.path()));
    assert_eq!(log.known_partitions(), [tp(1)]);
}

// Conformance: log-proof/10
#[test]
fn a_new_directory_takes_little_space() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(LogConfig::new(dir.path()));
    let first = fs::metadata(dir.path().join("wal/00000000.wal")).unwrap();
    assert!(first.len() <= 256 << 10, "{} bytes", first.len());
    log.close().unwrap();
}
