//! Data directories of earlier formats, stored next to this file, one folder per format: each still
//! opens, has its contents, and accepts writes.
//!
//! [`fill`] created the contents and therefore must not change. To add a format, run
//! `AVOUCH_KEEP=1 cargo test -p avouch-log format_compatibility` before the format changes again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use avouch_protocol::batch::{BatchHeader, Codec};
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::types::{Offset, TimestampMs};

use super::batches::{Spec, tp};
use super::harness::{Driven, small};
use super::model::read_all;
use crate::segment::SegmentMeta;
use crate::wal::frame::FORMAT_VERSION;
use crate::{
    AppendBatch, AppendOutcome, Bounds, CompactionSettings, CorruptRange, DuplicateCheck, Origin,
    PartitionSettings, RealDisk, RecoveryReport,
};

const FORMATS: &[u32] = &[1, 2];
/// Formats with compaction and skipped ranges.
const LIFE_FORMATS: &[u32] = &[2];
const SEQUENCES: i32 = 9;

fn kept(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/tests/stored/{format}"))
}

fn kept_life(format: u32) -> PathBuf {
    kept(format).with_file_name(format!("{format}-life"))
}

fn open(dir: &Path) -> (Driven, RecoveryReport) {
    Driven::open(small(dir), Arc::new(RealDisk)).unwrap()
}

/// Returns a batch of an idempotent producer with two records.
fn sent(sequence: i32) -> Spec {
    Spec {
        records: 2,
        producer: Some((9, 1, sequence * 2)),
        max_timestamp: 1_000 + i64::from(sequence),
        ..Spec::new(sequence.unsigned_abs().into())
    }
}

/// Creates segments, a raised log start, a deleted topic, producers, tags, and WAL frames.
fn fill(driven: &mut Driven) {
    for topic in 1..=3 {
        driven.log.create_partition(tp(topic)).unwrap();
    }
    for sequence in 0..SEQUENCES {
        driven.append(vec![sent(sequence).append_to(tp(1))]);
        let large = Spec {
            bytes: 900,
            ..Spec::new(100 + u64::from(sequence.unsigned_abs()))
        };
        let mut tagged = large.append_to(tp(2));
        tagged.tag = sequence.unsigned_abs();
        driven.append(vec![tagged, large.append_to(tp(3))]);
        if sequence == 5 {
            driven.checkpoint().unwrap();
            driven
                .log
                .start_deletion(tp(3).topic, Box::new(|deleted| deleted.unwrap()));
            let raised = Box::new(|raised: Result<Offset, _>| assert!(raised.is_ok()));
            driven.log.set_log_start(tp(2), Offset(3), raised);
            driven.commit();
        }
    }
    driven.flush().unwrap();
}

/// Returns a batch of one keyed record or tombstone.
pub(super) fn keyed(key: u8, value: Option<&[u8]>, at: i64) -> AppendBatch {
    let mut builder = BatchBuilder::new(Codec::None);
    builder.push(Some(&[key; 8]), value, TimestampMs(at), &[]);
    AppendBatch {
        target: tp(1),
        batch: builder.finish(),
        tag: 0,
        append_time: None,
        guard: None,
        origin: Origin::Client,
    }
}

/// Creates a compacted segment with a delete horizon, and skipped ranges in checkpoint and WAL.
fn fill_life(driven: &mut Driven) {
    for topic in 1..=2 {
        driven.log.create_partition(tp(topic)).unwrap();
    }
    let compaction = Some(CompactionSettings {
        min_dirty_ratio: 0.0,
        ..CompactionSettings::default()
    });
    let settings = PartitionSettings {
        compaction,
        ..PartitionSettings::default()
    };
    driven.log.configure(tp(1), settings);
    for (at, key) in (1_000..).zip([1, 2, 1, 3, 2, 1]) {
        driven.append(vec![keyed(key, Some(&[key; 20]), at)]);
    }
    driven.append(vec![keyed(3, None, 1_010)]);
    driven.flush().unwrap();
    driven.roll(tp(1)).unwrap();
    let compacted = driven.compact(tp(1), TimestampMs(2_000)).unwrap();
    assert!(compacted.is_some_and(|done| done.bytes_after < done.bytes_before));
    driven.append(vec![keyed(1, Some(b"newest"), 2_001)]);
    for id in 1..=8 {
        driven.append(vec![Spec::new(id).append_to(tp(2))]);
    }
    driven.skip_corrupt_range(tp(2), lost(1, 3));
    driven.checkpoint().unwrap();
    driven.skip_corrupt_range(tp(2), lost(5, 6));
    driven.append(vec![Spec::new(9).append_to(tp(2))]);
}

fn lost(from: i64, to: i64) -> CorruptRange {
    CorruptRange {
        from: Offset(from),
        to: Offset(to),
    }
}

/// Returns base offsets and sizes of all readable batches, and their segments.
type Life = (
    Bounds,
    Vec<(Offset, usize)>,
    Vec<SegmentMeta>,
    Vec<CorruptRange>,
);

fn life(driven: &Driven, topic: u128) -> Life {
    let bounds = driven.log.bounds(tp(topic)).unwrap();
    let mut there = Vec::new();
    let mut next = bounds.log_start;
    while next < bounds.high_watermark {
        let read = driven.log.read(tp(topic), next, 1 << 20).unwrap();
        let headers = read.batches.iter().map(|batch| BatchHeader::parse(batch));
        for header in headers.map(Result::unwrap) {
            there.push((header.base_offset, header.size_bytes));
            next = header.next_offset();
        }
        assert!(!read.batches.is_empty(), "nothing at {next}");
    }
    let partition = driven.log.shared.partition(tp(topic)).unwrap();
    let state = partition.state();
    // Only new segments have a header.
    let unheaded = |segment: &SegmentMeta| SegmentMeta {
        header_bytes: 0,
        ..segment.clone()
    };
    let segments = state.segments.iter().map(unheaded).collect();
    (bounds, there, segments, state.skipped.clone())
}

/// Returns the observable state of a partition.
type Seen = (
    Bounds,
    Vec<(Offset, u64, Vec<u8>)>,
    Vec<DuplicateCheck>,
    Vec<u32>,
);

fn contents(driven: &Driven) -> Vec<Seen> {
    assert_eq!(driven.log.known_partitions(), [tp(1), tp(2)]);
    let contents = |topic| {
        let duplicate = |sequence| {
            let header = BatchHeader::parse(&sent(sequence).build()).unwrap();
            driven.log.find_duplicate(tp(topic), &header)
        };
        let tags = (0..20).filter(|tag| driven.log.may_hold_tag(tp(topic), *tag));
        (
            driven.log.bounds(tp(topic)).unwrap(),
            read_all(driven, tp(topic)).unwrap(),
            (0..SEQUENCES).map(duplicate).collect(),
            tags.collect(),
        )
    };
    [1, 2].map(contents).into()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

// Conformance: log/1
#[test]
fn earlier_formats_open_and_accept_writes() {
    let fresh = tempfile::tempdir().unwrap();
    let (mut driven, _) = open(fresh.path());
    fill(&mut driven);
    let expected = contents(&driven);
    drop(driven);
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        copy(&kept(*format), dir.path());
        let (mut driven, report) = open(dir.path());
        assert!(
            report.frames_replayed > 0,
            "format {format}: the WAL is replayed"
        );
        assert!(contents(&driven) == expected, "format {format}");
        let outcome = driven.append(vec![sent(SEQUENCES).append_to(tp(1))])[0];
        let expected_offset = Offset(i64::from(SEQUENCES) * 2);
        assert!(
            matches!(outcome, AppendOutcome::Appended { base_offset, .. }
                if base_offset == expected_offset),
            "format {format}: {outcome:?}"
        );
        driven.close().unwrap();
        let (driven, _) = open(dir.path());
        assert_eq!(contents(&driven)[1], expected[1], "format {format}");
    }
}

// Conformance: log/1
#[test]
fn earlier_formats_keep_compaction_and_skips() {
    let fresh = tempfile::tempdir().unwrap();
    let (mut driven, _) = open(fresh.path());
    fill_life(&mut driven);
    driven.flush().unwrap();
    let expected = [1, 2].map(|topic| life(&driven, topic));
    assert_eq!(expected[1].3, [lost(1, 3), lost(5, 6)]);
    assert!(expected[0].2[0].delete_horizon.is_some());
    for format in LIFE_FORMATS {
        let dir = tempfile::tempdir().unwrap();
        copy(&kept_life(*format), dir.path());
        let (driven, report) = open(dir.path());
        assert!(report.frames_replayed > 0, "format {format}");
        driven.flush().unwrap();
        let found = [1, 2].map(|topic| life(&driven, topic));
        assert_eq!(found, expected, "format {format}");
        driven.close().unwrap();
        let (driven, _) = open(dir.path());
        let found = [1, 2].map(|topic| life(&driven, topic));
        assert_eq!(found, expected, "format {format}, closed and opened");
    }
}

// Conformance: log/1
#[test]
fn every_format_before_todays_is_kept() {
    assert!((1..FORMAT_VERSION).all(|format| FORMATS.contains(&format)));
    assert!((2..FORMAT_VERSION).all(|format| LIFE_FORMATS.contains(&format)));
    if std::env::var_os("AVOUCH_KEEP").is_some() {
        type Fill = fn(&mut Driven);
        let folders: [(PathBuf, Fill); 2] = [
            (kept(FORMAT_VERSION), fill),
            (kept_life(FORMAT_VERSION), fill_life),
        ];
        for (folder, fill) in folders {
            let dir = tempfile::tempdir().unwrap();
            let (mut driven, _) = open(dir.path());
            fill(&mut driven);
            copy(dir.path(), &folder);
        }
    }
}
