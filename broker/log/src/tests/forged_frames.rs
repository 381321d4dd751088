//! Records that contain the image of a WAL frame, in recycled files: none is replayed.

use std::sync::Arc;

use avouch_protocol::batch::crc32c;
use bytes::Bytes;

use super::batches::{Spec, tp};
use super::harness::{Driven, small};
use super::sim::{Faults, SimDisk};
use crate::failpoints::{self, Bug};
use crate::wal::frame::{
    ENTRY_HEADER_BYTES, FRAME_ALIGN, FRAME_HEADER_BYTES, FrameBuilder, FrameSeq, Incarnation, Salt,
    Session,
};
use crate::{AppendBatch, RecoveryReport};

const IMAGES: usize = 10;

/// Returns a frame that deletes topic 2, built without knowledge of the salt.
fn image() -> Bytes {
    let mut builder = FrameBuilder::new(100);
    builder.topic_deleted(tp(2).topic);
    let guessed = Session {
        incarnation: Incarnation(1),
        salt: Salt(0),
    };
    // Far ahead of the log, and as if all earlier frames were synced.
    builder.seal(guessed, FrameSeq(1_000), FrameSeq(999))
}

/// Returns a batch whose records are images, each aligned like a frame.
fn evil(id: u64) -> AppendBatch {
    let image = image();
    let mut append = Spec {
        bytes: 100 + IMAGES * image.len(),
        ..Spec::new(id)
    }
    .append_to(tp(1));
    let mut batch = append.batch.to_vec();
    let before = FRAME_HEADER_BYTES + ENTRY_HEADER_BYTES;
    let first = (before + 70).next_multiple_of(FRAME_ALIGN) - before;
    for at in (first..).step_by(image.len()).take(IMAGES) {
        batch[at..at + image.len()].copy_from_slice(&image);
    }
    let crc = crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    append.batch = Bytes::from(batch);
    append
}

/// Fills WAL files with images, reuses the files, kills the process, and starts.
fn start_over_images() -> (Driven, RecoveryReport) {
    let disk = SimDisk::new(Faults::default());
    let open = || Driven::open(small("/data"), Arc::new(disk.clone())).unwrap();
    let (mut driven, _) = open();
    for topic in 1..=2 {
        driven.log.create_partition(tp(topic)).unwrap();
    }
    driven.append(vec![Spec::new(1).append_to(tp(2))]);
    for id in 2..40 {
        driven.append(vec![evil(id)]);
        driven.checkpoint().unwrap();
    }
    drop(driven);
    open()
}

// Conformance: log-proof/12
#[test]
fn crafted_frames_in_records_are_ignored() {
    let (driven, report) = start_over_images();
    assert!(driven.log.bounds(tp(2)).is_some());
    assert_eq!(
        (report.missing_frames, report.epochs_bumped),
        (vec![], false)
    );
    // The salt distinguishes them.
    let (fooled, report) = failpoints::with(Bug::SaltIgnored, start_over_images);
    assert!(fooled.log.bounds(tp(2)).is_none());
    assert_eq!(report.missing_frames.len(), 1);
}
