//! Snapshots for backups: a consistent cut, restored as a log of its own, and the files they hold.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;

use avouch_protocol::batch::BatchHeader;
use avouch_protocol::types::{LeaderEpoch, Offset};

use super::batches::{Spec, id_of, tp};
use super::harness::{Driven, TestListener, small};
use crate::inspect::verify;
use crate::snapshot::take;
use crate::{
    AppendOutcome, DuplicateCheck, Log, LogConfig, LogError, RealDisk, Snapshot, SnapshotContent,
};

/// Batches of topic 1 before the first snapshot.
const FIRST: i32 = 20;
const SNAPSHOTS: usize = 12;

fn open(config: LogConfig) -> Log {
    let listener = Arc::new(TestListener::default());
    Log::open(config, Arc::new(RealDisk), listener).unwrap().0
}

fn append(log: &Log, topic: u128, spec: Spec) -> Offset {
    let (sink, outcome) = sync_channel(1);
    let done = Box::new(move |outcomes: Vec<_>| sink.send(outcomes[0]).unwrap());
    log.append(vec![spec.append_to(tp(topic))], done);
    match outcome.recv().unwrap() {
        AppendOutcome::Appended { base_offset, .. } => base_offset,
        outcome => panic!("{outcome:?}"),
    }
}

/// A batch of producer 9 whose number is its sequence.
fn sequenced(sequence: i32) -> Spec {
    Spec {
        producer: Some((9, 0, sequence)),
        bytes: 700,
        ..Spec::new(u64::try_from(sequence).unwrap())
    }
}

fn copy(snapshot: &Snapshot, to: &Path) {
    for file in snapshot.files() {
        let path = to.join(&file.name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match &file.content {
            SnapshotContent::Bytes(bytes) => fs::write(path, bytes).unwrap(),
            SnapshotContent::Prefix { path: from, bytes } => {
                let content = fs::read(from).unwrap();
                fs::write(path, &content[..usize::try_from(*bytes).unwrap()]).unwrap();
            }
        }
    }
}

fn ids(log: &Log, topic: u128) -> Vec<u64> {
    let bounds = log.bounds(tp(topic)).unwrap();
    let mut all = Vec::new();
    let mut next = bounds.log_start;
    while next < bounds.high_watermark {
        let batches = log.read(tp(topic), next, 4000).unwrap().batches;
        next = next.plus(i64::try_from(batches.len()).unwrap());
        all.extend(batches.iter().map(|batch| id_of(batch)));
    }
    all
}

fn check(config: &LogConfig, snapshot: &Snapshot, acknowledged: usize, dir: &Path) {
    let restored = LogConfig {
        dir: dir.to_owned(),
        ..config.clone()
    };
    copy(snapshot, dir);
    let totals = verify(dir, &RealDisk, &mut |_| ()).unwrap();
    assert_eq!((totals.faults, totals.frames), (0, 0));
    let log = open(restored);
    let records = ids(&log, 1);
    assert!(records.len() >= acknowledged);
    assert_eq!(records, (0..records.len() as u64).collect::<Vec<_>>());
    // Topic 2 refers to offsets of topic 1, as committed offsets do.
    let referred = *ids(&log, 2).last().unwrap();
    assert!(referred <= records.len() as u64, "{referred}");
    // The offsets after the snapshot are assigned again.
    let epoch = log.bounds(tp(1)).unwrap().leader_epoch;
    assert_eq!(epoch, LeaderEpoch(1));
    // The producer continues after its last batch.
    let next = i32::try_from(records.len()).unwrap();
    let repeated = sequenced(next - 1).append_to(tp(1)).batch;
    let header = BatchHeader::parse(&repeated).unwrap();
    let found = log.find_duplicate(tp(1), &header);
    assert!(matches!(found, DuplicateCheck::Duplicate { .. }));
    assert_eq!(append(&log, 1, sequenced(next)), Offset(next.into()));
    log.close().unwrap();
}

// Conformance: operation/backup-1
#[test]
fn snapshot_is_one_point_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path().join("log"));
    let log = open(config.clone());
    log.create_partition(tp(1)).unwrap();
    log.create_partition(tp(2)).unwrap();
    for sequence in 0..FIRST {
        append(&log, 1, sequenced(sequence));
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (log, stop) = (&log, &stop);
        append(log, 2, Spec::new(1));
        scope.spawn(move || {
            let mut sequence = FIRST;
            while !stop.load(Ordering::Relaxed) {
                let next = append(log, 1, sequenced(sequence)).plus(1);
                append(log, 2, Spec::new(u64::try_from(next.0).unwrap()));
                sequence += 1;
            }
        });
        for number in 0..SNAPSHOTS {
            let acknowledged = log.bounds(tp(1)).unwrap().high_watermark.0;
            let snapshot = log.snapshot().unwrap();
            let to = dir.path().join(number.to_string());
            check(
                &config,
                &snapshot,
                usize::try_from(acknowledged).unwrap(),
                &to,
            );
        }
        stop.store(true, Ordering::Relaxed);
    });
    log.close().unwrap();
    assert!(matches!(log.snapshot(), Err(LogError::StorageFailed(_))));
}

// Conformance: operation/backup-2
#[test]
fn held_files_remain_until_release() {
    let dir = tempfile::tempdir().unwrap();
    let config = small(dir.path().join("log"));
    let (mut driven, _) = Driven::open(config, Arc::new(RealDisk)).unwrap();
    for topic in 1..=2 {
        driven.log.create_partition(tp(topic)).unwrap();
        for sequence in 0..FIRST {
            driven.append(vec![sequenced(sequence).append_to(tp(topic))]);
        }
    }
    let snapshot = take(&driven.log.shared, &driven.flusher()).unwrap();
    let prefix = |content: &SnapshotContent| match content {
        SnapshotContent::Prefix { path, .. } => Some(path.clone()),
        SnapshotContent::Bytes(_) => None,
    };
    let files = snapshot.files().iter();
    let files: Vec<_> = files.filter_map(|file| prefix(&file.content)).collect();
    assert!(files.len() > 4, "{files:?}");

    // After both the log needs fewer segments, as after compaction.
    let log = driven.log.clone();
    log.set_log_start(tp(1), Offset(i64::from(FIRST)), Box::new(|_| ()));
    log.start_deletion(tp(2).topic, Box::new(|_| ()));
    driven.commit();
    driven.checkpoint().unwrap();
    assert!(files.iter().all(|file| file.exists()));

    drop(snapshot);
    driven.checkpoint().unwrap();
    let removed = |topic: u128| {
        let dir = tp(topic).to_string();
        let of_topic = |file: &&PathBuf| file.parent().unwrap().ends_with(&dir);
        files.iter().filter(of_topic).any(|file| !file.exists())
    };
    assert!(removed(1) && removed(2));
}
