//! File ranges: they contain the same batches as reads, and only verified ones.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use avouch_protocol::batch::{BatchHeader, crc_matches};
use avouch_protocol::types::Offset;
use bytes::Bytes;
use tempfile::TempDir;

use super::batches::{Spec, tp};
use super::harness::TestListener;
use crate::segment::header::SEGMENT_HEADER_BYTES;
use crate::{AppendOutcome, FileRangeResult, Log, LogConfig, RealDisk, read_range};

const BATCH_BYTES: usize = 10_000;
const BATCHES: u64 = 100;
/// Offsets per batch.
const RECORDS: i64 = 3;

/// In the build folder, because a tmpfs reports the page cache differently.
fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap()
}

fn open(dir: &Path) -> Log {
    let config = LogConfig {
        segment_bytes: 400 << 10,
        low_space_bytes: 0,
        ..LogConfig::new(dir)
    };
    let received = Arc::new(TestListener::default());
    Log::open(config, Arc::new(RealDisk), received).unwrap().0
}

/// Opens a log whose batches are all in three segments.
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

/// Returns the batches of a file range; the first contains `from`.
fn batches(read: &FileRangeResult, from: Offset) -> Vec<Bytes> {
    let mut rest = read_range(&read.range).unwrap();
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
    assert_eq!(next, Some(read.next));
    let first = BatchHeader::parse(&batches[0]).unwrap();
    assert!(first.base_offset <= from && from < first.next_offset());
    batches
}

// Conformance: broker/fetch-14
#[test]
#[cfg(target_os = "linux")]
fn file_range_is_a_prefix_of_read() {
    let dir = directory();
    let log = filled(dir.path());
    let mut found = 0;
    for from in offsets() {
        for max_bytes in [0, 64 << 10, 100_000, 256 << 10, 10 << 20] {
            let Some(read) = log.file_range(tp(1), from, max_bytes) else {
                continue;
            };
            found += 1;
            assert!(read.range.bytes <= max_bytes && read.range.bytes >= 64 << 10);
            assert_eq!(read.bounds, log.bounds(tp(1)).unwrap());
            let batches = batches(&read, from);
            let read = log.read(tp(1), from, max_bytes).unwrap();
            assert_eq!(batches, read.batches[..batches.len()], "{from} {max_bytes}");
        }
    }
    // Fewer than seven batches are below the minimum size of a range.
    assert!(found > 700, "{found}");
    let end = log.bounds(tp(1)).unwrap().high_watermark;
    for outside in [Offset(-1), end, end.plus(1)] {
        assert!(log.file_range(tp(1), outside, 1 << 20).is_none());
    }
    assert!(log.file_range(tp(2), Offset(0), 1 << 20).is_none());
}

// Conformance: broker/fetch-14
#[test]
#[cfg(target_os = "linux")]
fn unverified_batches_are_read_first() {
    let dir = directory();
    drop(filled(dir.path()));
    let log = open(dir.path());
    let file_range = || log.file_range(tp(1), Offset(0), 200 << 10);
    assert!(file_range().is_none(), "not read yet");
    log.read(tp(1), Offset(0), 100 << 10).unwrap();
    assert!(file_range().is_none(), "half of it was not read");
    log.read(tp(1), Offset(15), 200 << 10).unwrap();
    let read = file_range().unwrap();
    assert_eq!(batches(&read, Offset(0)).len(), 20);
}

// Conformance: broker/fetch-14
#[test]
#[cfg(target_os = "linux")]
fn file_range_excludes_corrupt_batches() {
    for corrupt in 10..20 {
        let dir = directory();
        drop(filled(dir.path()));
        let partition = fs::read_dir(dir.path().join("data")).unwrap().next();
        let path = partition.unwrap().unwrap().path();
        let path = path.join(format!("{:020}.log", 0));
        let mut bytes = fs::read(&path).unwrap();
        bytes[SEGMENT_HEADER_BYTES + corrupt * BATCH_BYTES + 61 + corrupt * 400] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let log = open(dir.path());
        // The batches before the corrupt one are verified; the corrupt one was never read.
        let read = log.read(tp(1), Offset(0), 400 << 10).unwrap();
        assert_eq!(read.batches.len(), corrupt);
        let mut found = 0;
        for from in offsets() {
            for max_bytes in [100_000, 200 << 10] {
                if let Some(read) = log.file_range(tp(1), from, max_bytes) {
                    batches(&read, from);
                    found += 1;
                }
            }
        }
        assert!(found > 0, "there are more than 64 KiB before it");
    }
}
