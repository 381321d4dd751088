//! Inspection of a data directory: it finds all contents and corruption, and changes nothing.

use std::path::Path;
use std::sync::Arc;

use super::batches::tp;
use super::harness::Driven;
use super::scripts::{Run, SCRIPTS, config};
use super::sim::{Faults, SimDisk};
use crate::inspect::{Item, Totals, dump, verify};
use crate::wal::frame::{FRAME_HEADER_BYTES, WAL_HEADER_BYTES};
use crate::{Durability, SECTOR_BYTES};

fn look(disk: &SimDisk) -> (Vec<Item>, Totals) {
    let mut items = Vec::new();
    let totals = dump(Path::new("/data"), disk, &mut |item| items.push(item)).unwrap();
    (items, totals)
}

// Conformance: log/16
#[test]
fn inspection_finds_no_fault_and_changes_nothing() {
    for (name, script) in SCRIPTS {
        let mut run = Run::new(Durability::Fsync, SimDisk::new(Faults::default()));
        run.play(script).unwrap();
        let (before, steps) = (run.disk.files(), run.disk.steps());
        let mut faults = Vec::new();
        let totals = verify(Path::new("/data"), &run.disk, &mut |item| faults.push(item)).unwrap();
        assert_eq!((faults.as_slice(), totals.faults), (&[][..], 0), "{name}");
        let (items, _) = look(&run.disk);
        assert!(
            items.iter().all(|item| !item.to_string().is_empty()),
            "{name}"
        );
        assert!(
            run.disk.files() == before && run.disk.steps() == steps,
            "{name}"
        );
    }
}

// Conformance: log/16
#[test]
fn flipped_bits_of_a_batch_are_found() {
    let mut run = Run::new(Durability::Fsync, SimDisk::new(Faults::default()));
    run.play("i1*3 p c").unwrap();
    let driven: Option<Driven> = run.driven.take();
    driven.unwrap().close().unwrap();
    let mut files = run.disk.files().into_iter();
    let is_segment = |path: &Path| path.extension().is_some_and(|extension| extension == "log");
    let (path, bytes) = files.find(|(path, _)| is_segment(path)).unwrap();
    for at in 0..bytes.len() {
        // The CRC covers neither base offset nor leader epoch; they are compared with the
        // previous batch.
        for bit in 0..8 {
            run.disk.corrupt(&path, |bytes| bytes[at] ^= 1 << bit);
            let totals = verify(Path::new("/data"), &run.disk, &mut drop).unwrap();
            assert!(totals.faults > 0, "byte {at} bit {bit}");
            run.disk.corrupt(&path, |bytes| bytes[at] ^= 1 << bit);
        }
    }
    let reopened = Driven::open(config(Durability::Fsync), Arc::new(run.disk.clone()));
    assert!(reopened.is_ok());
}

// Conformance: log/16
#[test]
fn missing_segment_and_frames_are_found() {
    let mut run = Run::new(Durability::Fsync, SimDisk::new(Faults::default()));
    run.play("i1 p c i1 p i1 p i1 p").unwrap();
    let files = run.disk.files();
    let wal = files
        .iter()
        .map(|(path, _)| path)
        .find(|path| path.ends_with("00000000.wal"));
    let (_, totals) = look(&run.disk);
    assert_eq!((totals.frames, totals.segments), (3, 1));
    // The middle one of the frames to replay.
    run.disk.corrupt(wal.unwrap(), |bytes| {
        const { assert!(FRAME_HEADER_BYTES + 32 + 120 < SECTOR_BYTES) }
        bytes[WAL_HEADER_BYTES + 2 * SECTOR_BYTES + 60] ^= 1;
    });
    let (items, totals) = look(&run.disk);
    assert_eq!((totals.frames, totals.faults), (2, 1), "{items:?}");
    let is_segment = |path: &Path| path.extension().is_some_and(|extension| extension == "log");
    let segment = files
        .iter()
        .map(|(path, _)| path)
        .find(|path| is_segment(path));
    crate::Disk::remove_file(&run.disk, segment.unwrap()).unwrap();
    assert_eq!(look(&run.disk).1.faults, 2);
}

// Conformance: log/16
#[test]
fn dump_ignores_segments_deleted_meanwhile() {
    let mut run = Run::new(Durability::Fsync, SimDisk::new(Faults::default()));
    run.play("I1*8 p c").unwrap();
    let mut driven = run.driven.take().unwrap();
    let mut deleted = false;
    let totals = dump(Path::new("/data"), &run.disk, &mut |item| {
        if matches!(item, Item::Segment { .. }) && !deleted {
            deleted = true;
            let end = driven.log.bounds(tp(1)).unwrap().high_watermark;
            driven.log.set_log_start(tp(1), end, Box::new(drop));
            driven.commit();
            driven.checkpoint().unwrap();
        }
    });
    let totals = totals.unwrap();
    assert!(totals.segments > 1 && totals.batches < 8, "{totals}");
    assert_eq!(totals.faults, 0);
}
