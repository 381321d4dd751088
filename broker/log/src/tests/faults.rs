//! Disks that fail or fill up.

use std::sync::Arc;

use avouch_protocol::types::Offset;

use super::batches::{Spec, id_of, tp};
use super::harness::{Driven, small};
use super::model::read_all;
use super::scripts::{Run, SCRIPTS, config};
use super::sim::{Crash, Faults, SimDisk};
use crate::locks::lock;
use crate::storage::StorageError;
use crate::{AppendOutcome, Durability, LogConfig, PartitionSettings};

fn open(disk: &SimDisk) -> Driven {
    let (driven, _) = Driven::open(small("/data"), Arc::new(disk.clone())).unwrap();
    driven.log.create_partition(tp(1)).unwrap();
    driven
}

/// Returns a configuration in which several large batches cause no write on their own.
fn large_buffers() -> LogConfig {
    LogConfig {
        wal_file_bytes: 1 << 20,
        wal_bytes_max: 4 << 20,
        checkpoint_bytes: 1 << 20,
        segment_bytes: 1 << 20,
        tail_bytes_max: 1 << 20,
        commit_bytes_max: 1 << 20,
        ..small("/data")
    }
}

fn append(driven: &mut Driven, id: u64) -> AppendOutcome {
    driven.append(vec![
        Spec {
            bytes: 1500,
            ..Spec::new(id)
        }
        .append_to(tp(1)),
    ])[0]
}

fn count(driven: &Driven) -> i64 {
    i64::try_from(read_all(driven, tp(1)).unwrap().len()).unwrap()
}

// Conformance: log-proof/3, main-job/7c
#[test]
fn failed_sync_ends_appends_without_loss() {
    for (name, script) in SCRIPTS {
        fail_each_sync(script).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    }
}

/// Runs a script once per sync with that sync failing, and cuts the power.
pub(super) fn fail_each_sync(script: &str) -> Result<(), String> {
    let whole = SimDisk::new(Faults::default());
    Run::new(Durability::Fsync, whole.clone()).play(script)?;
    for failing in 1..=whole.syncs() {
        let failed = |wrong: &str| Err(format!("sync {failing} fails: {wrong}"));
        let faults = Faults {
            failing_sync: Some(failing),
            ..Faults::default()
        };
        let mut run = Run::new(Durability::Fsync, SimDisk::new(faults));
        let played = run.play(script);
        let left = run.disk.after(Crash::Nothing);
        let recovered = Driven::open(small("/data"), Arc::new(left));
        let (recovered, _) = recovered.map_err(|error| error.to_string())?;
        if let Err(wrong) = run.model.check(&recovered, false) {
            return failed(&wrong);
        }
        match &mut run.driven {
            None if played.is_ok() => return failed("the failure is not reported"),
            None => {}
            Some(driven) => {
                let poisoned = driven.received.poisoned.lock().unwrap().len();
                let rejected = append(driven, 1_000_000) == AppendOutcome::StorageFailed;
                // The process in which the sync failed may have been killed since.
                if poisoned > 1 || rejected != (poisoned == 1) {
                    return failed(&format!(
                        "reported {poisoned} times, appends rejected: {rejected}"
                    ));
                }
            }
        }
    }
    Ok(())
}

#[test]
fn failed_sync_hides_nondurable_batches() {
    let disk = SimDisk::new(Faults::default());
    let mut driven = open(&disk);
    assert!(matches!(
        append(&mut driven, 1),
        AppendOutcome::Appended { .. }
    ));
    let failing_sync = Some(disk.syncs() + 1);
    disk.set_faults(Faults {
        failing_sync,
        ..Faults::default()
    });
    assert_eq!(append(&mut driven, 2), AppendOutcome::StorageFailed);
    disk.set_faults(Faults::default());
    assert_eq!(
        append(&mut driven, 3),
        AppendOutcome::StorageFailed,
        "never tried again"
    );
    assert_eq!(read_all(&driven, tp(1)).unwrap().len(), 1);
    assert_eq!(driven.log.bounds(tp(1)).unwrap().high_watermark, Offset(1));
    assert!(driven.log.create_partition(tp(2)).is_err());
}

// Conformance: log-proof/4
#[test]
fn full_disk_rejects_appends_until_freed() {
    let disk = SimDisk::new(Faults::default());
    let mut driven = open(&disk);
    append(&mut driven, 1);
    let capacity = Some(disk.used_bytes() + 12_000);
    disk.set_faults(Faults {
        capacity,
        ..Faults::default()
    });
    let mut acked = 1;
    let mut rejected = 0;
    for id in 2..60 {
        match append(&mut driven, id) {
            AppendOutcome::Appended { base_offset, .. } => {
                assert_eq!(base_offset, Offset(acked));
                acked += 1;
            }
            AppendOutcome::StorageFailed => rejected += 1,
            other => panic!("{other:?}"),
        }
        assert_eq!(count(&driven), acked);
    }
    assert!(
        rejected > 20 && acked > 5,
        "{rejected} rejected, {acked} acknowledged"
    );
    assert!(driven.received.poisoned.lock().unwrap().is_empty());
    for crash in [Crash::Nothing, Crash::Killed] {
        let recovered = open(&disk.after(crash));
        assert_eq!(count(&recovered), acked);
    }
    disk.set_faults(Faults::default());
    assert!(matches!(
        append(&mut driven, 100),
        AppendOutcome::Appended { .. }
    ));
    driven.close().unwrap();
    assert_eq!(count(&open(&disk)), acked + 1);
}

/// The segment is closed before the next write to it.
#[test]
fn checkpoint_syncs_partial_flushes() {
    let disk = SimDisk::new(Faults::default());
    let config = large_buffers();
    let (mut driven, _) = Driven::open(config.clone(), Arc::new(disk.clone())).unwrap();
    driven.log.create_partition(tp(1)).unwrap();
    for id in 0..2 {
        let large = Spec {
            bytes: 40_000,
            ..Spec::new(id)
        };
        driven.append(vec![large.append_to(tp(1))]);
    }
    disk.set_faults(Faults {
        capacity: Some(disk.used_bytes() + 50_000),
        ..Faults::default()
    });
    assert_eq!(driven.flush(), Err(StorageError::Full));
    disk.set_faults(Faults::default());
    let settings = PartitionSettings {
        segment_bytes: 1_000,
        ..PartitionSettings::default()
    };
    driven.log.configure(tp(1), settings);
    driven.checkpoint().unwrap();
    let left = disk.after(Crash::Nothing);
    let (recovered, report) = Driven::open(config, Arc::new(left)).unwrap();
    assert_eq!(report.frames_replayed, 0, "the checkpoint covers them");
    assert_eq!(count(&recovered), 2);
}

/// The batches are in the segment but not in its index; both writes are repeated.
// Conformance: log-proof/13
#[test]
fn failed_index_write_is_repeated_once() {
    let disk = SimDisk::new(Faults::default());
    let config = large_buffers();
    let (mut driven, _) = Driven::open(config.clone(), Arc::new(disk.clone())).unwrap();
    driven.log.create_partition(tp(1)).unwrap();
    let large = |id| Spec {
        bytes: 40_000,
        ..Spec::new(id)
    };
    driven.append(vec![large(0).append_to(tp(1))]);
    driven.flush().unwrap();
    for id in 1..3 {
        driven.append(vec![large(id).append_to(tp(1))]);
    }
    disk.set_faults(Faults {
        capacity: Some(disk.used_bytes() + 80_010),
        ..Faults::default()
    });
    assert_eq!(driven.flush(), Err(StorageError::Full));
    disk.set_faults(Faults::default());
    driven.flush().unwrap();
    for id in 3..8 {
        driven.append(vec![large(id).append_to(tp(1))]);
        driven.flush().unwrap();
    }
    driven.checkpoint().unwrap();
    let left = disk.after(Crash::Killed);
    let (recovered, report) = Driven::open(config, Arc::new(left)).unwrap();
    assert_eq!(report.frames_replayed, 0, "all is read from the segment");
    for from in 0..8 {
        let read = recovered.log.read(tp(1), Offset(from), 1).unwrap();
        let expected = u64::try_from(from).unwrap();
        assert_eq!(id_of(&read.batches[0]), expected);
    }
}

// Conformance: log-proof/13
#[test]
fn unstarted_wal_file_hides_no_frames() {
    let disk = SimDisk::new(Faults::default());
    let mut driven = open(&disk);
    let capacity = Some(disk.used_bytes() + 4_000);
    disk.set_faults(Faults {
        capacity,
        ..Faults::default()
    });
    let mut acked = 0;
    while matches!(
        append(&mut driven, acked + 1),
        AppendOutcome::Appended { .. }
    ) {
        acked += 1;
        assert!(acked < 100);
    }
    disk.set_faults(Faults::default());
    driven.checkpoint().unwrap();
    // Small enough for the current WAL file.
    let small = Spec::new(100).append_to(tp(1));
    assert!(matches!(
        driven.append(vec![small])[0],
        AppendOutcome::Appended { .. }
    ));
    acked += 1;
    for crash in [Crash::Killed, Crash::Nothing] {
        let recovered = open(&disk.after(crash));
        assert_eq!(
            count(&recovered),
            i64::try_from(acked).unwrap(),
            "{crash:?}"
        );
    }
    // The same file is tried again: its name is durable before its frames count.
    while count(&driven) < 30 {
        acked += 1;
        append(&mut driven, 1_000 + acked);
    }
    let recovered = open(&disk.after(Crash::Nothing));
    assert_eq!(count(&recovered), count(&driven));
}

// Conformance: log-proof/13
#[test]
fn start_on_a_full_disk_serves_reads() {
    for durability in [Durability::Fsync, Durability::Os] {
        let disk = SimDisk::new(Faults::default());
        let config = LogConfig {
            durability,
            ..small("/data")
        };
        let start = |disk: &SimDisk| Driven::open(config.clone(), Arc::new(disk.clone()));
        let (mut driven, _) = start(&disk).unwrap();
        driven.log.create_partition(tp(1)).unwrap();
        for id in 1..=12 {
            append(&mut driven, id);
        }
        drop(driven);
        let left = disk.after(Crash::Killed);
        let full = Faults {
            capacity: Some(left.used_bytes()),
            ..Faults::default()
        };
        left.set_faults(full);
        let (mut driven, _) = start(&left).unwrap();
        assert_eq!(count(&driven), 12, "{durability:?}");
        assert_eq!(append(&mut driven, 13), AppendOutcome::StorageFailed);
        assert_eq!(count(&driven), 12, "{durability:?}");
        left.set_faults(Faults::default());
        assert!(matches!(
            append(&mut driven, 14),
            AppendOutcome::Appended { .. }
        ));
        let (driven, _) = start(&left.after(Crash::Killed)).unwrap();
        assert_eq!(count(&driven), 13, "{durability:?}");
    }
}

// Conformance: log-proof/18, operation/12
#[test]
fn missing_file_handles_delay_writes_without_loss() {
    for (name, script) in SCRIPTS {
        let mut run = Run::new(Durability::Fsync, SimDisk::new(Faults::default()));
        // Each part ends with a commit, because the next one starts a new process.
        for part in script.split_inclusive(" p") {
            let no_handles = Faults {
                no_handles: true,
                ..Faults::default()
            };
            run.disk.set_faults(no_handles);
            if let Some(driven) = &run.driven {
                // Whether this fails depends on the files that are open; it is repeated below.
                let failed = [driven.flush(), driven.checkpoint()];
                drop(driven.spare());
                let postponed = lock(&driven.received.postponed).len();
                assert_eq!(
                    postponed,
                    failed.iter().filter(|done| done.is_err()).count()
                );
                assert_eq!(*lock(&driven.received.poisoned), [""; 0], "{name}");
            }
            run.disk.set_faults(Faults::default());
            run.play(part)
                .unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        }
        let driven = run.driven.take().unwrap();
        driven.checkpoint().unwrap();
        drop(driven);
        let left = run.disk.after(Crash::Nothing);
        let (driven, _) = Driven::open(config(Durability::Fsync), Arc::new(left)).unwrap();
        run.model.create_partitions(&driven).unwrap();
        run.model
            .check(&driven, false)
            .unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
    }
}
