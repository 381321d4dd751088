//! Stretches of segment files that are sent without being read: the same batches as reads give,
//! only where they were seen to be right.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use avouch_protocol::batch::{BatchHeader, crc_matches};
use avouch_protocol::types::Offset;
use bytes::Bytes;
use tempfile::TempDir;

use super::batches::{Spec, tp};
use super::harness::Heard;
use crate::{AppendOutcome, Log, LogConfig, RealDisk, Stretched, read_range};

const BATCH_BYTES: usize = 10_000;
const BATCHES: u64 = 100;
/// Offsets of each.
const RECORDS: i64 = 3;

/// Beside the build: what the page cache tells of files in memory differs.
fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap()
}

fn open(dir: &Path) -> Log {
    let config = LogConfig {
        segment_bytes: 400 << 10,
        low_space_bytes: 0,
        ..LogConfig::new(dir)
    };
    let heard = Arc::new(Heard::default());
    Log::open(config, Arc::new(RealDisk), heard).unwrap().0
}

/// A log all of which is in segments, three of them.
fn filled(dir: &Path) -> Log {
    let log = open(dir);
    log.create_partition(tp(1)).unwrap();
    for id in 0..BATCHES {
        let spec = Spec {
            records: i32::try_from(RECORDS).unwrap(),
            bytes: BATCH_BYTES,
            ..Spec::new(id)
        };
        let (sink, outcome) = sync_channel(1);
        let done = Box::new(move |outcomes: Vec<AppendOutcome>| sink.send(outcomes[0]).unwrap());
        log.append(vec![spec.append_to(tp(1))], done);
        assert!(matches!(
            outcome.recv().unwrap(),
            AppendOutcome::Appended { .. }
        ));
    }
    log.close().unwrap();
    log
}

fn offsets() -> impl Iterator<Item = Offset> {
    (0..i64::try_from(BATCHES).unwrap() * RECORDS).map(Offset)
}

/// The batches in a stretch; the first holds `from`.
fn batches(stretched: &Stretched, from: Offset) -> Vec<Bytes> {
    let mut rest = read_range(&stretched.stretch).unwrap();
    let mut batches = Vec::new();
    let mut next = None;
    while !rest.is_empty() {
        let header = BatchHeader::parse(&rest).unwrap();
        assert!(next.is_none_or(|next| header.base_offset == next));
        next = Some(header.next_offset());
        let batch = rest.split_to(header.size_bytes);
        assert!(crc_matches(&batch), "{}", header.base_offset);
        batches.push(batch);
    }
    assert_eq!(next, Some(stretched.next));
    let first = BatchHeader::parse(&batches[0]).unwrap();
    assert!(first.base_offset <= from && from < first.next_offset());
    batches
}

// Conformance: broker/fetch-14
#[test]
#[cfg(target_os = "linux")]
fn a_stretch_is_what_a_read_gives_or_the_beginning_of_it() {
    let dir = directory();
    let log = filled(dir.path());
    let mut found = 0;
    for from in offsets() {
        for max_bytes in [0, 64 << 10, 100_000, 256 << 10, 10 << 20] {
            let Some(stretched) = log.stretch(tp(1), from, max_bytes) else {
                continue;
            };
            found += 1;
            assert!(stretched.stretch.bytes <= max_bytes && stretched.stretch.bytes >= 64 << 10);
            assert_eq!(stretched.bounds, log.bounds(tp(1)).unwrap());
            let batches = batches(&stretched, from);
            let read = log.read(tp(1), from, max_bytes).unwrap();
            assert_eq!(batches, read.batches[..batches.len()], "{from} {max_bytes}");
        }
    }
    // Not where fewer than seven batches are left of a segment, or allowed.
    assert!(found > 700, "{found}");
    let end = log.bounds(tp(1)).unwrap().high_watermark;
    for outside in [Offset(-1), end, end.plus(1)] {
        assert!(log.stretch(tp(1), outside, 1 << 20).is_none());
    }
    assert!(log.stretch(tp(2), Offset(0), 1 << 20).is_none());
}

// Conformance: broker/fetch-14
#[test]
#[cfg(target_os = "linux")]
fn what_was_never_seen_to_be_right_is_read_first() {
    let dir = directory();
    drop(filled(dir.path()));
    let log = open(dir.path());
    let stretch = || log.stretch(tp(1), Offset(0), 200 << 10);
    assert!(stretch().is_none(), "nobody looked at it");
    log.read(tp(1), Offset(0), 100 << 10).unwrap();
    assert!(stretch().is_none(), "half of it was not looked at");
    log.read(tp(1), Offset(15), 200 << 10).unwrap();
    let stretched = stretch().unwrap();
    assert_eq!(batches(&stretched, Offset(0)).len(), 20);
}

// Conformance: broker/fetch-14
#[test]
#[cfg(target_os = "linux")]
fn no_stretch_holds_what_is_damaged() {
    for damaged in 10..20 {
        let dir = directory();
        drop(filled(dir.path()));
        let partition = fs::read_dir(dir.path().join("data")).unwrap().next();
        let path = partition.unwrap().unwrap().path();
        let path = path.join(format!("{:020}.log", 0));
        let mut bytes = fs::read(&path).unwrap();
        bytes[damaged * BATCH_BYTES + 61 + damaged * 400] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let log = open(dir.path());
        // What stands before the damage is read well; the damage is met by nobody yet.
        let read = log.read(tp(1), Offset(0), 400 << 10).unwrap();
        assert_eq!(read.batches.len(), damaged);
        let mut found = 0;
        for from in offsets() {
            for max_bytes in [100_000, 200 << 10] {
                if let Some(stretched) = log.stretch(tp(1), from, max_bytes) {
                    batches(&stretched, from);
                    found += 1;
                }
            }
        }
        assert!(found > 0, "there are more than 64 KiB before it");
    }
}
