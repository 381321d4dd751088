//! Retention and rolling, disks that fill up, requested syncs, pending duplicates.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use avouch_protocol::types::{Offset, TimestampMs, TopicPartition};

use super::batches::{Spec, tp};
use super::harness::{Driven, TestListener, small};
use super::model::read_all;
use super::sim::{Crash, Faults, SimDisk};
use crate::locks::lock;
use crate::{AppendOutcome, Disk, Durability, Log, LogConfig, Origin, PartitionSettings, RealDisk};

fn open(config: LogConfig, disk: Arc<dyn Disk>) -> Driven {
    let (driven, _) = Driven::open(config, disk).unwrap();
    for topic in 1..=2 {
        driven.log.create_partition(tp(topic)).unwrap();
    }
    driven
}

fn append(driven: &mut Driven, topic: u128, id: u64) -> AppendOutcome {
    let spec = Spec {
        bytes: 1500,
        ..Spec::new(id)
    };
    driven.append(vec![spec.append_to(tp(topic))])[0]
}

fn is_appended(outcome: AppendOutcome) -> bool {
    matches!(outcome, AppendOutcome::Appended { .. })
}

// Conformance: log/12
#[test]
fn topic_settings_close_segments() {
    let disk = SimDisk::new(Faults::default());
    let mut driven = open(small("/data"), Arc::new(disk.clone()));
    let settings = PartitionSettings {
        segment_bytes: 3_000,
        segment_ms: 50,
        ..PartitionSettings::default()
    };
    driven.log.configure(tp(1), settings);
    let mut send = |max_timestamp| {
        let spec = Spec {
            bytes: 1000,
            max_timestamp,
            ..Spec::new(1)
        };
        driven.append(vec![spec.append_to(tp(1)), spec.append_to(tp(2))]);
    };
    // Three fill the first segment; the fifth is too late for the second.
    [0, 0, 0, 10, 61, 62].into_iter().for_each(&mut send);
    driven.flush().unwrap();
    let segments = |tp: TopicPartition| -> Vec<String> {
        let dir = Path::new("/data/data").join(tp.to_string());
        let files = disk.files().into_iter();
        let names = files.filter(|(path, _)| path.starts_with(&dir));
        let names = names.filter_map(|(path, _)| path.file_name()?.to_str().map(str::to_owned));
        names.filter(|name| name.ends_with(".log")).collect()
    };
    let expected = [0, 3, 4].map(|base| format!("{base:020}.log"));
    assert_eq!(segments(tp(1)), expected);
    assert_eq!(segments(tp(2)).len(), 2, "the log's own 4 KiB");
}

// Conformance: log/11
#[test]
fn maintenance_empties_an_idle_topic() {
    let dir = tempfile::tempdir().unwrap();
    let config = LogConfig {
        low_space_bytes: 0,
        ..LogConfig::new(dir.path())
    };
    let (log, _) = Log::open(
        config,
        Arc::new(RealDisk),
        Arc::new(TestListener::default()),
    )
    .unwrap();
    log.create_partition(tp(1)).unwrap();
    let settings = PartitionSettings {
        retention_ms: Some(500),
        ..PartitionSettings::default()
    };
    log.configure(tp(1), settings);
    let append = |max_timestamp| {
        let (sink, outcome) = std::sync::mpsc::sync_channel(1);
        let spec = Spec {
            max_timestamp,
            ..Spec::new(1)
        };
        let done = Box::new(move |outcomes: Vec<_>| sink.send(outcomes[0]).unwrap());
        log.append(vec![spec.append_to(tp(1))], done);
        assert!(is_appended(outcome.recv().unwrap()));
    };
    append(1_000);
    append(1_100);
    let start_at = |now| {
        log.maintain(tp(1), TimestampMs(now)).unwrap();
        log.bounds(tp(1)).unwrap().log_start
    };
    assert_eq!(start_at(1_600), Offset(0));
    assert_eq!(start_at(1_601), Offset(2), "all of it is too old");
    append(1_700);
    assert_eq!(start_at(1_601), Offset(2));
    let bounds = log.bounds(tp(1)).unwrap();
    assert_eq!(bounds.high_watermark, Offset(3), "offsets go on");
    assert_eq!(log.read(tp(1), Offset(2), 1).unwrap().batches.len(), 1);
    log.close().unwrap();
}

// Conformance: log/14
#[test]
fn low_space_rejects_only_producers() {
    let disk = SimDisk::new(Faults::default());
    let config = LogConfig {
        low_space_bytes: 10_000,
        ..small("/data")
    };
    let mut driven = open(config, Arc::new(disk.clone()));
    assert!(is_appended(append(&mut driven, 1, 1)));
    disk.set_faults(Faults {
        capacity: Some(disk.used_bytes() + 9_999),
        ..Faults::default()
    });
    for id in 2..10 {
        assert_eq!(append(&mut driven, 1, id), AppendOutcome::StorageFailed);
    }
    assert_eq!(read_all(&driven, tp(1)).unwrap().len(), 1, "reads go on");
    let mut own = Spec::new(10).append_to(tp(2));
    own.origin = Origin::Coordinator;
    assert!(
        is_appended(driven.append(vec![own])[0]),
        "so do offset commits"
    );
    let deleted = Arc::new(Mutex::new(None));
    let sink = Arc::clone(&deleted);
    let done = Box::new(move |result| *lock(&sink) = Some(result));
    driven.log.start_deletion(tp(2).topic, done);
    driven.commit();
    assert_eq!(*lock(&deleted), Some(Ok(())), "and what gives space back");
    disk.set_faults(Faults::default());
    assert!(
        is_appended(append(&mut driven, 1, 11)),
        "no restart is needed"
    );
    assert_eq!(*lock(&driven.received.low_space), [true, false]);
    assert!(lock(&driven.received.poisoned).is_empty());
}

/// A mounted file system of 256 KiB in memory, unmounted on drop.
struct Mounted(tempfile::TempDir);

impl Mounted {
    /// Returns `None` if the user may not mount.
    fn new() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]);
        let mounted = mount.arg(dir.path()).output();
        mounted
            .is_ok_and(|output| output.status.success())
            .then_some(Self(dir))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(self.0.path()).output());
    }
}

/// Appends until the disk is full, frees space, and appends again.
fn fill_and_free(dir: &Path, disk: &Arc<dyn Disk>, free: impl FnOnce()) {
    let config = LogConfig {
        wal_file_bytes: 32 << 10,
        wal_bytes_max: 128 << 10,
        checkpoint_bytes: 64 << 10,
        ..small(dir.join("log"))
    };
    let mut driven = open(config.clone(), Arc::clone(disk));
    let mut acked = 0;
    let mut rejected = 0;
    for id in 0..400 {
        match append(&mut driven, 1, id) {
            AppendOutcome::Appended { base_offset, .. } => {
                assert_eq!(base_offset, Offset(acked));
                acked += 1;
            }
            AppendOutcome::StorageFailed => rejected += 1,
            other => panic!("{other:?}"),
        }
    }
    let count = |driven: &Driven| i64::try_from(read_all(driven, tp(1)).unwrap().len()).unwrap();
    assert!(
        rejected > 50 && acked > 10,
        "{rejected} rejected, {acked} acked"
    );
    assert_eq!(count(&driven), acked, "reads go on");
    assert!(lock(&driven.received.poisoned).is_empty());
    free();
    assert!(is_appended(append(&mut driven, 1, 1_000)));
    assert_eq!(count(&driven), acked + 1);
    driven.close().unwrap();
    assert_eq!(count(&open(config, Arc::clone(disk))), acked + 1);
}

// Conformance: log/14
#[test]
fn full_file_system_loses_nothing() {
    if let Some(mounted) = Mounted::new() {
        let ballast = mounted.0.path().join("ballast");
        std::fs::write(&ballast, vec![1; 64 << 10]).unwrap();
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        fill_and_free(mounted.0.path(), &disk, || {
            std::fs::remove_file(ballast).unwrap();
        });
        return;
    }
    let full = SimDisk::new(Faults {
        capacity: Some(192 << 10),
        ..Faults::default()
    });
    let disk: Arc<dyn Disk> = Arc::new(full.clone());
    fill_and_free(Path::new("/"), &disk, || full.set_faults(Faults::default()));
}

// Conformance: log/13
#[test]
fn mode_os_honours_flush_messages() {
    let disk = SimDisk::new(Faults::default());
    let config = LogConfig {
        durability: Durability::Os,
        ..small("/data")
    };
    let mut driven = open(config.clone(), Arc::new(disk.clone()));
    let settings = PartitionSettings {
        flush_messages: 3,
        ..PartitionSettings::default()
    };
    driven.log.configure(tp(1), settings);
    let before = disk.syncs();
    // Topic, and the number of syncs after it.
    let steps = [
        (1, 0),
        (2, 0),
        (1, 0),
        (1, 1),
        (2, 1),
        (1, 1),
        (1, 1),
        (1, 2),
    ];
    for ((topic, syncs), id) in steps.into_iter().zip(0..) {
        let small = Spec::new(id).append_to(tp(topic));
        assert!(is_appended(driven.append(vec![small])[0]));
        assert_eq!(disk.syncs() - before, syncs, "step {id}");
    }
    driven.append(vec![Spec::new(90).append_to(tp(2))]);
    for _ in 0..2 {
        driven.log.sync();
        driven.commit();
        assert_eq!(disk.syncs() - before, 3, "once, and not for nothing");
    }
    let left = open(config, Arc::new(disk.after(Crash::Nothing)));
    assert_eq!(read_all(&left, tp(1)).unwrap().len(), 6);
    assert_eq!(read_all(&left, tp(2)).unwrap().len(), 3);
}

// Conformance: log/15
#[test]
fn pending_duplicate_shares_its_originals_outcome() {
    for fails in [false, true] {
        let disk = SimDisk::new(Faults::default());
        let mut driven = open(small("/data"), Arc::new(disk.clone()));
        if fails {
            disk.set_faults(Faults {
                failing_sync: Some(disk.syncs() + 1),
                ..Faults::default()
            });
        }
        let spec = Spec {
            producer: Some((7, 0, 0)),
            ..Spec::new(1)
        };
        let outcomes = Arc::new(Mutex::new(Vec::new()));
        for _ in 0..2 {
            let sink = Arc::clone(&outcomes);
            let done = Box::new(move |outcomes| lock(&sink).extend::<Vec<_>>(outcomes));
            driven.log.append(vec![spec.append_to(tp(1))], done);
        }
        assert!(lock(&outcomes).is_empty(), "neither has an outcome yet");
        driven.commit();
        let (base_offset, log_start) = (Offset(0), Offset(0));
        let expected = if fails {
            [AppendOutcome::StorageFailed; 2]
        } else {
            let original = AppendOutcome::Appended {
                base_offset,
                log_start,
                append_time: None,
            };
            let duplicate = AppendOutcome::Duplicate {
                base_offset,
                log_start,
            };
            [original, duplicate]
        };
        assert_eq!(*lock(&outcomes), expected);
        let (next, visible) = (
            driven.log.next_offset(tp(1)),
            driven.log.bounds(tp(1)).unwrap().high_watermark,
        );
        assert_eq!(next, Some(Offset(1)), "decided, durable or not");
        assert_eq!(visible, Offset(i64::from(!fails)));
    }
}

// Conformance: broker/input-10c
#[test]
fn producer_limit_evicts_the_least_recently_used() {
    const MAX: usize = 100;
    let disk = SimDisk::new(Faults::default());
    let config = || LogConfig {
        producers_max: MAX,
        ..small("/data")
    };
    let mut driven = open(config(), Arc::new(disk.clone()));
    let send = |driven: &mut Driven, producer: i64, sequence: i32| {
        let spec = Spec {
            producer: Some((producer, 0, sequence)),
            ..Spec::new(1)
        };
        let target = tp(if producer % 2 == 0 { 1 } else { 2 });
        driven.append(vec![spec.append_to(target)])[0]
    };
    // One producer sends repeatedly among ten times as many producers as the limit.
    let steady = 1_000_000;
    for producer in 0..10 * i64::try_from(MAX).unwrap() {
        assert!(is_appended(send(&mut driven, producer, 0)), "{producer}");
        if producer % 50 == 0 {
            let sequence = i32::try_from(producer / 50).unwrap();
            assert!(is_appended(send(&mut driven, steady, sequence)));
        }
        assert!(remembered(&driven) <= MAX);
        if producer % 300 == 299 {
            driven.checkpoint().unwrap();
        }
    }
    let newest = 10 * i64::try_from(MAX).unwrap() - 1;
    let check = |driven: &mut Driven| {
        assert!(remembered(driven) <= MAX);
        let is_known = |outcome| matches!(outcome, AppendOutcome::Duplicate { .. });
        assert!(is_known(send(driven, newest, 0)), "the newest is known");
        assert!(
            is_known(send(driven, steady, 19)),
            "so is who is often used"
        );
        let gap = send(driven, steady, 25);
        assert_eq!(gap, AppendOutcome::OutOfOrderSequence, "exactly");
    };
    check(&mut driven);
    drop(driven);
    // As after a crash: the state from the checkpoint, and the frames after it.
    let mut driven = open(config(), Arc::new(disk.clone()));
    check(&mut driven);
    let forgotten = send(&mut driven, 3, 0);
    assert!(
        is_appended(forgotten),
        "a forgotten producer may start at any sequence"
    );
    driven.close().unwrap();
    check(&mut open(config(), Arc::new(disk)));
}

/// Returns the number of producers of all partitions.
fn remembered(driven: &Driven) -> usize {
    let partitions = driven.log.shared.partitions();
    let counts = partitions
        .iter()
        .map(|partition| partition.state().producers.len());
    counts.sum()
}
