//! Recovery of directories with incomplete, corrupt, missing and unknown files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use avouch_protocol::types::{LeaderEpoch, Offset};

use super::batches::{Spec, tp};
use super::harness::{Driven, small};
use super::model::read_all;
use super::sim::{Crash, Faults, SimDisk};
use crate::segment::header::SEGMENT_HEADER_BYTES;
use crate::wal::frame::{FRAME_HEADER_BYTES, WAL_HEADER_BYTES, WalFileHeader, WalFileState};
use crate::{
    CorruptRange, Durability, LogConfig, OpenError, ReadError, RecoveryReport, SECTOR_BYTES,
};

const BATCH_BYTES: usize = 120;
/// Distance between two frames of one such batch.
const FRAME_BYTES: usize = (FRAME_HEADER_BYTES + 32 + BATCH_BYTES).next_multiple_of(SECTOR_BYTES);

fn open(disk: &SimDisk) -> Result<(Driven, RecoveryReport), OpenError> {
    Driven::open(small("/data"), Arc::new(disk.clone()))
}

fn append(driven: &mut Driven, ids: std::ops::RangeInclusive<u64>) {
    driven.log.create_partition(tp(1)).unwrap();
    for id in ids {
        driven.append(vec![
            Spec {
                bytes: BATCH_BYTES,
                ..Spec::new(id)
            }
            .append_to(tp(1)),
        ]);
    }
}

fn offsets(driven: &Driven) -> Vec<i64> {
    read_all(driven, tp(1))
        .unwrap()
        .iter()
        .map(|(offset, ..)| offset.0)
        .collect()
}

/// Creates a directory with three frames in its first WAL file and no segments.
fn three_frames() -> SimDisk {
    let disk = SimDisk::new(Faults::default());
    let (mut driven, _) = open(&disk).unwrap();
    append(&mut driven, 1..=3);
    disk
}

fn wal_file(number: u32) -> PathBuf {
    PathBuf::from(format!("/data/wal/{number:08}.wal"))
}

// Conformance: main-job/7c
#[test]
fn torn_last_frame_is_ignored() {
    for torn_from in 0..FRAME_BYTES {
        let disk = three_frames();
        let at = WAL_HEADER_BYTES + 2 * FRAME_BYTES + torn_from;
        disk.corrupt(&wal_file(0), |bytes| bytes[at..].fill(0));
        let (mut driven, report) = open(&disk).unwrap();
        // The rest of the sector is padding.
        let is_whole = torn_from >= FRAME_HEADER_BYTES + 32 + BATCH_BYTES;
        let expected: &[i64] = if is_whole { &[0, 1, 2] } else { &[0, 1] };
        assert_eq!(offsets(&driven), expected, "torn from byte {torn_from}");
        assert!(report.missing_frames.is_empty() && !report.epochs_bumped);
        let shows = torn_from >= FRAME_HEADER_BYTES && !is_whole;
        assert_eq!(report.torn_tail, shows, "torn from byte {torn_from}");
        append(&mut driven, 4..=4);
        let (driven, _) = open(&disk).unwrap();
        assert_eq!(
            offsets(&driven).len(),
            expected.len() + 1,
            "torn from byte {torn_from}"
        );
    }
}

#[test]
fn corrupt_middle_of_wal_is_reported() {
    for at in 0..FRAME_HEADER_BYTES + 32 + BATCH_BYTES {
        let disk = three_frames();
        disk.corrupt(&wal_file(0), |bytes| {
            bytes[WAL_HEADER_BYTES + FRAME_BYTES + at] ^= 0x20;
        });
        for session in 0..3 {
            let (driven, report) = open(&disk).unwrap();
            let range = CorruptRange {
                from: Offset(1),
                to: Offset(2),
            };
            assert_eq!(report.corrupt_ranges, [(tp(1), range)], "byte {at}");
            if session == 0 {
                assert_eq!(report.missing_frames, [(2, 3)], "byte {at}");
                assert!(report.epochs_bumped && !report.torn_tail);
            }
            let bounds = driven.log.bounds(tp(1)).unwrap();
            assert_eq!(
                (bounds.high_watermark, bounds.leader_epoch),
                (Offset(3), LeaderEpoch(2))
            );
            let before = driven.log.read(tp(1), Offset(0), 1 << 20).unwrap();
            assert_eq!(before.batches.len(), 1, "it ends before the range");
            let error = driven.log.read(tp(1), Offset(1), 1 << 20).unwrap_err();
            assert!(matches!(error, ReadError::Corrupt { range: found } if found == range));
            assert_eq!(
                driven
                    .log
                    .read(tp(1), Offset(2), 1 << 20)
                    .unwrap()
                    .batches
                    .len(),
                1
            );
            driven.checkpoint().unwrap();
        }
    }
}

#[test]
fn corrupt_batch_hides_only_itself() {
    let disk = SimDisk::new(Faults::default());
    let (mut driven, _) = open(&disk).unwrap();
    append(&mut driven, 1..=20);
    driven.close().unwrap();
    let segment = Path::new("/data/data")
        .join(tp(1).to_string())
        .join("00000000000000000000.log");
    for at in (0..BATCH_BYTES).filter(|at| !(12..16).contains(at)) {
        disk.corrupt(&segment, |bytes| {
            bytes[SEGMENT_HEADER_BYTES + 5 * BATCH_BYTES + at] ^= 0x41;
        });
        let (driven, _) = open(&disk).unwrap();
        let before = driven.log.read(tp(1), Offset(0), 1 << 20).unwrap();
        assert_eq!(before.batches.len(), 5, "byte {at}");
        let Err(ReadError::Corrupt { range }) = driven.log.read(tp(1), Offset(5), 1 << 20) else {
            panic!("byte {at}: range is served");
        };
        assert_eq!(range.from, Offset(5));
        // An unusable header hides everything up to the next indexed batch.
        let is_in_header = (0..27).contains(&at) && !(17..23).contains(&at);
        assert!(
            range.to == Offset(6) || (is_in_header && range.to == Offset(20)),
            "byte {at}"
        );
        drop(driven);
        disk.corrupt(&segment, |bytes| {
            bytes[SEGMENT_HEADER_BYTES + 5 * BATCH_BYTES + at] ^= 0x41;
        });
    }
}

#[test]
fn lost_or_corrupt_index_is_rebuilt() {
    let disk = SimDisk::new(Faults::default());
    let config = LogConfig {
        segment_bytes: 1 << 20,
        ..small("/data")
    };
    let open = || {
        Driven::open(config.clone(), Arc::new(disk.clone()))
            .unwrap()
            .0
    };
    let mut driven = open();
    driven.log.create_partition(tp(1)).unwrap();
    for id in 1..=60 {
        driven.append(vec![
            Spec {
                bytes: 1000,
                ..Spec::new(id)
            }
            .append_to(tp(1)),
        ]);
    }
    driven.close().unwrap();
    let index = Path::new("/data/data")
        .join(tp(1).to_string())
        .join("00000000000000000000.index");
    let changes: [fn(&mut Vec<u8>); 2] = [Vec::clear, |bytes| bytes[25] ^= 1];
    for (change, batches) in changes.into_iter().zip(60..) {
        disk.corrupt(&index, change);
        let mut driven = open();
        assert_eq!(read_all(&driven, tp(1)).unwrap().len(), batches);
        driven.append(vec![Spec::new(61).append_to(tp(1))]);
        driven.close().unwrap();
        let restored = disk
            .files()
            .into_iter()
            .find(|(path, _)| *path == index)
            .unwrap()
            .1;
        assert_eq!(restored.len(), 60, "three entries, one each 16 KiB");
        assert_eq!(read_all(&open(), tp(1)).unwrap().len(), batches + 1);
    }
}

#[test]
fn unreadable_directory_is_rejected_unchanged() {
    type Change = fn(&SimDisk);
    type Expected = fn(&OpenError) -> bool;
    let checkpoint = || PathBuf::from("/data/checkpoint");
    let cases: [(&str, Change, Expected); 3] = [
        (
            "no checkpoint",
            |disk| crate::Disk::remove_file(disk, Path::new("/data/checkpoint")).unwrap(),
            |error| matches!(error, OpenError::MissingCheckpoint { .. }),
        ),
        (
            "newer checkpoint",
            |disk| {
                disk.corrupt(Path::new("/data/checkpoint"), |bytes| {
                    bytes[11] = 9;
                    let (header, body) = (bytes[..16].to_vec(), bytes[20..].to_vec());
                    let crc = avouch_protocol::batch::crc32c(&[header, body].concat());
                    bytes[16..20].copy_from_slice(&crc.to_be_bytes());
                });
            },
            |error| {
                matches!(
                    error,
                    OpenError::NewerFormat {
                        found: 9,
                        known: 3,
                        ..
                    }
                )
            },
        ),
        (
            "newer WAL",
            |disk| {
                disk.corrupt(&wal_file(0), |bytes| {
                    bytes[11] = 9;
                    let crc = avouch_protocol::batch::crc32c(&bytes[..28]);
                    bytes[28..32].copy_from_slice(&crc.to_be_bytes());
                });
            },
            |error| {
                matches!(
                    error,
                    OpenError::NewerFormat {
                        found: 9,
                        known: 3,
                        ..
                    }
                )
            },
        ),
    ];
    for (name, change, expected) in cases {
        let disk = three_frames();
        assert!(disk.files().iter().any(|(path, _)| *path == checkpoint()));
        change(&disk);
        let before = disk.files();
        let error = open(&disk).map(drop).unwrap_err();
        assert!(expected(&error), "{name}: {error}");
        assert!(disk.files() == before, "{name}: something was changed");
    }
}

// Conformance: log-proof/19
#[test]
fn missing_wal_files_are_rejected_until_accepted() {
    for (name, script) in super::scripts::SCRIPTS {
        let mut run = super::scripts::Run::new(Durability::Fsync, SimDisk::new(Faults::default()));
        run.play(script).unwrap();
        run.driven.as_ref().unwrap().checkpoint().unwrap();
        let left = run.disk.after(Crash::Killed);
        let header = |bytes: &[u8]| match WalFileHeader::decode(&bytes[..WAL_HEADER_BYTES]) {
            WalFileState::Used(header) => Some((header.incarnation, header.first_seq)),
            WalFileState::Free | WalFileState::Newer(_) => None,
        };
        let files = left.files().into_iter();
        let wal = files.filter(|(path, _)| path.extension().is_some_and(|name| name == "wal"));
        let newest = wal.max_by_key(|(_, bytes)| header(bytes)).unwrap().0;
        crate::Disk::remove_file(&left, &newest).unwrap();
        let config = |accept_loss| LogConfig {
            accept_loss,
            ..super::scripts::config(Durability::Fsync)
        };
        let open = |accept_loss| Driven::open(config(accept_loss), Arc::new(left.clone()));
        let error = open(false).map(drop).unwrap_err();
        assert!(
            matches!(error, OpenError::MissingWal { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains("avouch log accept-loss"));
        let (driven, _) = open(true).unwrap();
        run.model
            .check_corrupt(&driven, &run.model.fork(), false)
            .unwrap();
        drop(driven);
        open(false).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

// Conformance: log-proof/19
#[test]
fn cut_wal_file_is_rejected() {
    for cut in 1..FRAME_HEADER_BYTES + 32 + BATCH_BYTES {
        let disk = three_frames();
        let end = WAL_HEADER_BYTES + 3 * FRAME_BYTES;
        disk.corrupt(&wal_file(0), |bytes| bytes.truncate(end - cut));
        let has_header = FRAME_BYTES - cut >= FRAME_HEADER_BYTES;
        let is_padding = end - cut >= WAL_HEADER_BYTES + 2 * FRAME_BYTES + 84 + BATCH_BYTES;
        let result = open(&disk).map(drop);
        let is_cut = matches!(result, Err(OpenError::CutWal { .. }));
        assert_eq!(is_cut, has_header && !is_padding, "cut by {cut}");
    }
}

// Conformance: log-proof/19
#[test]
fn missing_log_is_rejected_until_accepted() {
    let config = |accept_loss| LogConfig {
        must_exist: true,
        accept_loss,
        ..small("/data")
    };
    let disk = SimDisk::new(Faults::default());
    let open = |accept_loss| Driven::open(config(accept_loss), Arc::new(disk.clone())).map(drop);
    assert!(matches!(open(false), Err(OpenError::MissingLog { .. })));
    open(true).unwrap();
    open(false).unwrap();
}
