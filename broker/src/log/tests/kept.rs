//! Data directories that earlier formats wrote, kept beside this file, a folder a format: each
//! still opens, holds all that was put in, and can be written to.
//!
//! What was put in is [`fill`], which therefore never changes. A new format gets its folder by
//! `AVOUCH_KEEP=1 cargo test -p avouch-broker kept`, run before the format changes again.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batches::{Spec, tp};
use super::driven::{Driven, small};
use super::model::read_all;
use crate::log::frame::FORMAT_VERSION;
use crate::log::{AppendOutcome, Bounds, DuplicateCheck, RealDisk, RecoveryReport};
use crate::types::Offset;
use crate::wire::batch::BatchHeader;

const FORMATS: &[u32] = &[1, 2];
const SEQUENCES: i32 = 9;

fn kept(format: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/log/tests/kept/{format}"))
}

fn open(dir: &Path) -> (Driven, RecoveryReport) {
    Driven::open(small(dir), Arc::new(RealDisk)).unwrap()
}

/// A batch of an idempotent producer, two records long.
fn sent(sequence: i32) -> Spec {
    Spec {
        records: 2,
        producer: Some((9, 1, sequence * 2)),
        max_timestamp: 1_000 + i64::from(sequence),
        ..Spec::new(sequence.unsigned_abs().into())
    }
}

/// Segments, a raised log start, a deleted topic, producers, tags, and a WAL behind all that.
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

/// All that can be seen of a partition.
type Seen = (
    Bounds,
    Vec<(Offset, u64, Vec<u8>)>,
    Vec<DuplicateCheck>,
    Vec<u32>,
);

fn contents(driven: &Driven) -> Vec<Seen> {
    assert_eq!(driven.log.known_partitions(), [tp(1), tp(2)]);
    let seen = |topic| {
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
    [1, 2].map(seen).into()
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

#[test]
fn data_directories_of_earlier_formats_open_and_can_be_written_to() {
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

#[test]
fn every_format_before_todays_is_kept() {
    assert!((1..FORMAT_VERSION).all(|format| FORMATS.contains(&format)));
    if std::env::var_os("AVOUCH_KEEP").is_some() {
        let dir = tempfile::tempdir().unwrap();
        let (mut driven, _) = open(dir.path());
        fill(&mut driven);
        copy(dir.path(), &kept(FORMAT_VERSION));
    }
}
