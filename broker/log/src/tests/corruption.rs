//! Segments with corrupt bytes: reads return correct batches, reject only the corrupt ones, and
//! reach all others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use avouch_protocol::batch::{BatchHeader, HEADER_BYTES};
use avouch_protocol::types::{Offset, TimestampMs};

use super::batches::{Spec, id_of, tp};
use super::harness::{Driven, small};
use super::sim::{Faults, SimDisk};
use crate::segment::header::SEGMENT_HEADER_BYTES;
use crate::{CompactionSettings, locks::lock};
use crate::{CorruptRange, LogConfig, PartitionSettings, ReadError};

const BATCH_BYTES: usize = 120;
const RECORDS: i64 = 3;

fn open(disk: &SimDisk) -> Driven {
    let config = LogConfig {
        segment_bytes: 1 << 20,
        ..small("/data")
    };
    let (driven, _) = Driven::open(config, Arc::new(disk.clone())).unwrap();
    driven.log.create_partition(tp(1)).unwrap();
    driven
}

fn spec(id: u64, bytes: usize) -> Spec {
    Spec {
        records: 3,
        bytes,
        max_timestamp: 1_000 + i64::try_from(id).unwrap() * 10,
        ..Spec::new(id)
    }
}

/// Creates batches 0 to 19 in one closed segment.
fn twenty() -> SimDisk {
    let disk = SimDisk::new(Faults::default());
    let mut driven = open(&disk);
    for id in 0..20 {
        driven.append(vec![spec(id, BATCH_BYTES).append_to(tp(1))]);
    }
    driven.close().unwrap();
    disk
}

fn file(extension: &str) -> PathBuf {
    let dir = Path::new("/data/data").join(tp(1).to_string());
    dir.join(format!("00000000000000000000.{extension}"))
}

fn lost(from: i64, to: i64) -> CorruptRange {
    CorruptRange {
        from: Offset(from),
        to: Offset(to),
    }
}

/// Reads each offset: returns those that are read and the rejected ranges.
fn read_all(driven: &Driven) -> (Vec<i64>, Vec<CorruptRange>) {
    let (mut read, mut rejected) = (Vec::new(), Vec::new());
    let end = driven.log.bounds(tp(1)).unwrap().high_watermark;
    for offset in 0..end.0 {
        match driven.log.read(tp(1), Offset(offset), 1) {
            Ok(found) => {
                let header = BatchHeader::parse(&found.batches[0]).unwrap();
                assert_eq!(header.base_offset.0, offset / RECORDS * RECORDS);
                let id = i64::try_from(id_of(&found.batches[0])).unwrap();
                assert_eq!(id, offset / RECORDS, "another batch at {offset}");
                read.push(offset);
            }
            Err(ReadError::Corrupt { range }) => {
                assert!(range.from.0 <= offset && offset < range.to.0);
                if rejected.last() != Some(&range) {
                    rejected.push(range);
                }
            }
            Err(error) => panic!("{offset}: {error}"),
        }
    }
    (read, rejected)
}

// Conformance: log/21
#[test]
fn flipped_offset_bit_hides_one_batch() {
    let disk = twenty();
    for bit in 0..64 {
        for batch in [0, 5, 19] {
            let at = SEGMENT_HEADER_BYTES + batch * BATCH_BYTES + bit / 8;
            disk.corrupt(&file("log"), |bytes| bytes[at] ^= 1 << (bit % 8));
            let driven = open(&disk);
            let first = i64::try_from(batch).unwrap() * RECORDS;
            let expected = [lost(first, first + RECORDS)];
            let (read, rejected) = read_all(&driven);
            assert_eq!(rejected, expected, "bit {bit} of batch {batch}");
            assert_eq!(read.len(), 57);
            let received = lock(&driven.received.corrupt_ranges).clone();
            assert_eq!(
                received,
                [(tp(1), expected[0])],
                "reported once, by its range"
            );
            drop(driven);
            disk.corrupt(&file("log"), |bytes| bytes[at] ^= 1 << (bit % 8));
        }
    }
}

// Conformance: log/22
#[test]
fn batches_after_a_corrupt_header_are_read() {
    let disk = twenty();
    disk.corrupt(&file("log"), |bytes| {
        bytes[SEGMENT_HEADER_BYTES + 5 * BATCH_BYTES..][..HEADER_BYTES].fill(0);
    });
    let mut driven = open(&disk);
    for id in 20..100 {
        driven.append(vec![spec(id, 1_000).append_to(tp(1))]);
    }
    driven.flush().unwrap();
    let check = |driven: &Driven, name: &str| {
        let (read, rejected) = read_all(driven);
        assert_eq!(rejected, [lost(15, 18)], "{name}");
        assert_eq!(read.len(), 297, "{name}");
    };
    check(&driven, "while written");
    driven.close().unwrap();
    check(&open(&disk), "after a start");
    crate::Disk::remove_file(&disk, &file("index")).unwrap();
    check(&open(&disk), "without an index");
}

// Conformance: log/22
#[test]
fn corrupt_last_header_of_active_segment() {
    let disk = twenty();
    disk.corrupt(&file("log"), |bytes| {
        bytes[SEGMENT_HEADER_BYTES + 19 * BATCH_BYTES..][..HEADER_BYTES].fill(0);
    });
    let mut driven = open(&disk);
    for id in 20..30 {
        driven.append(vec![spec(id, 1_000).append_to(tp(1))]);
    }
    driven.close().unwrap();
    let (read, rejected) = read_all(&open(&disk));
    assert_eq!((read.len(), rejected), (87, vec![lost(57, 60)]));
}

// Conformance: log/23
#[test]
fn time_lookup_fails_until_range_is_skipped() {
    let disk = twenty();
    disk.corrupt(&file("log"), |bytes| {
        bytes[SEGMENT_HEADER_BYTES + 5 * BATCH_BYTES..][..HEADER_BYTES].fill(0);
    });
    let mut driven = open(&disk);
    let find = |driven: &Driven, ts: i64| {
        let found = driven
            .log
            .offset_for_time(tp(1), Offset(0), TimestampMs(ts));
        found.map(|found| found.map(|batch| batch.base_offset.0))
    };
    assert_eq!(find(&driven, 1_040).unwrap(), Some(12));
    assert_eq!(
        find(&driven, 9_000).unwrap(),
        None,
        "newer than all there was"
    );
    for ts in [1_050, 1_060, 1_190] {
        let error = find(&driven, ts).unwrap_err();
        assert!(
            matches!(error, ReadError::Corrupt { range } if range == lost(15, 18)),
            "{ts}: {error}"
        );
    }
    assert_eq!(
        *lock(&driven.received.corrupt_ranges),
        [(tp(1), lost(15, 18))]
    );
    driven.skip_corrupt_range(tp(1), lost(15, 18));
    for (ts, offset) in [(1_050, Some(18)), (1_190, Some(57)), (9_000, None)] {
        assert_eq!(find(&driven, ts).unwrap(), offset, "{ts}");
    }
}

// Conformance: log/24
#[test]
fn read_continues_past_compacted_and_skipped_offsets() {
    let disk = SimDisk::new(Faults::default());
    let mut driven = open(&disk);
    let compaction = Some(CompactionSettings {
        min_dirty_ratio: 0.0,
        ..CompactionSettings::default()
    });
    let settings = PartitionSettings {
        segment_bytes: 2_000,
        compaction,
        ..PartitionSettings::default()
    };
    driven.log.configure(tp(1), settings);
    for at in 0..12 {
        let batch = super::format_compatibility::keyed(1, Some(&[7; 400]), 1_000 + at);
        driven.append(vec![batch]);
    }
    driven.flush().unwrap();
    driven.skip_corrupt_range(tp(1), lost(1, 2));
    driven.roll(tp(1)).unwrap();
    let compacted = driven.compact(tp(1), TimestampMs(2_000)).unwrap();
    assert!(compacted.is_some());
    for from in 0..12 {
        let read = driven.log.read(tp(1), Offset(from), 1).unwrap();
        let header = read.batches.first().map(|batch| BatchHeader::parse(batch));
        let base = header.map(|header| header.unwrap().base_offset);
        assert_eq!(base, Some(Offset(11)), "from {from}");
    }
}

// Conformance: log/25
#[test]
fn swapped_segments_are_detected() {
    let disk = SimDisk::new(Faults::default());
    let mut driven = open(&disk);
    driven.log.create_partition(tp(2)).unwrap();
    for topic in [1, 2] {
        driven.append(vec![spec(1, BATCH_BYTES).append_to(tp(topic))]);
    }
    driven.close().unwrap();
    let file = |topic| {
        let dir = Path::new("/data/data").join(tp(topic).to_string());
        dir.join("00000000000000000000.log")
    };
    let (aside, verified) = (PathBuf::from("/data/aside"), Path::new("/data"));
    for (from, to) in [
        (file(1), aside.clone()),
        (file(2), file(1)),
        (aside, file(2)),
    ] {
        crate::Disk::rename(&disk, &from, &to).unwrap();
    }
    let driven = open(&disk);
    for topic in [1, 2] {
        let error = driven.log.read(tp(topic), Offset(0), 1).unwrap_err();
        assert!(matches!(error, ReadError::Corrupt { range } if range == lost(0, 3)));
    }
    let mut texts = Vec::new();
    crate::inspect::verify(verified, &disk, &mut |item| texts.push(item.to_string())).unwrap();
    assert_eq!(texts.len(), 2);
    assert!(
        texts
            .iter()
            .all(|text| text.contains("contains another segment")),
        "{texts:?}"
    );
}

// Conformance: log/26
#[test]
fn read_after_skip_reaches_the_end() {
    let corrupt: [fn(&mut Vec<u8>); 2] = [
        |bytes| bytes[SEGMENT_HEADER_BYTES + 19 * BATCH_BYTES..][..HEADER_BYTES].fill(0),
        |bytes| bytes[SEGMENT_HEADER_BYTES + 19 * BATCH_BYTES + 100] ^= 1,
    ];
    for corrupt in corrupt {
        let disk = twenty();
        disk.corrupt(&file("log"), corrupt);
        let mut driven = open(&disk);
        driven.skip_corrupt_range(tp(1), lost(57, 60));
        for from in [57, 58, 59] {
            let read = driven.log.read(tp(1), Offset(from), 1).unwrap();
            let header = BatchHeader::parse(&read.batches[0]).unwrap();
            assert!(avouch_protocol::batch::crc_matches(&read.batches[0]));
            assert_eq!((header.base_offset, header.record_count), (Offset(from), 0));
            assert_eq!(header.next_offset(), read.bounds.high_watermark);
        }
        let at_end = driven.log.read(tp(1), Offset(60), 1).unwrap();
        assert!(at_end.batches.is_empty());
    }
}

// Conformance: log/26
#[test]
fn verify_reports_skipped_ranges_without_fault() {
    let corrupt: [fn(&mut [u8]); 3] = [
        |header| header.fill(0),
        |header| header[100] ^= 1,
        |header| header[5] ^= 1,
    ];
    for batch in [0, 5, 19] {
        for corrupt in corrupt {
            let disk = twenty();
            disk.corrupt(&file("log"), |bytes| {
                corrupt(&mut bytes[SEGMENT_HEADER_BYTES + batch * BATCH_BYTES..][..BATCH_BYTES]);
            });
            let verify = || {
                let mut items = Vec::new();
                let see = &mut |item: crate::inspect::Item| items.push(item.to_string());
                let totals = crate::inspect::verify(Path::new("/data"), &disk, see).unwrap();
                (totals.faults, items)
            };
            assert_ne!(verify().0, 0, "batch {batch}");
            let mut driven = open(&disk);
            let first = i64::try_from(batch).unwrap() * RECORDS;
            driven.skip_corrupt_range(tp(1), lost(first, first + RECORDS));
            driven.close().unwrap();
            let expected = format!("{}: offsets {first} to {} are skipped", tp(1), first + 2);
            assert_eq!(verify(), (0, vec![expected]), "batch {batch}");
        }
    }
}
