//! Appends and reads without crashes.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use avouch_protocol::batch::{BatchHeader, crc_matches};
use avouch_protocol::types::{LeaderEpoch, Offset, TimestampMs};
use bytes::Bytes;

use super::batches::{Spec, id_of, tp};
use super::harness::{Driven, small};
use super::model::read_all;
use super::sim::{Faults, SimDisk};
use crate::{AppendOutcome, DuplicateCheck, Guard, Origin, ReadError};

fn open(disk: &SimDisk) -> Driven {
    let (driven, _) = Driven::open(small("/data"), Arc::new(disk.clone())).unwrap();
    for topic in 1..=3 {
        driven.log.create_partition(tp(topic)).unwrap();
    }
    driven
}

fn fresh() -> Driven {
    open(&SimDisk::new(Faults::default()))
}

fn appended(base: i64) -> AppendOutcome {
    let (base_offset, log_start) = (Offset(base), Offset(0));
    AppendOutcome::Appended {
        base_offset,
        log_start,
        append_time: None,
    }
}

fn duplicate(base: i64) -> AppendOutcome {
    AppendOutcome::Duplicate {
        base_offset: Offset(base),
        log_start: Offset(0),
    }
}

/// Ten batches of three records: ids 1 to 10 at offsets 0, 3, .. 27, timestamps 10, 20, .. 100.
fn ten_batches(driven: &mut Driven) {
    for id in 1..=10u8 {
        let max_timestamp = i64::from(id) * 10;
        let spec = Spec {
            records: 3,
            bytes: 1000,
            max_timestamp,
            ..Spec::new(id.into())
        };
        let outcomes = driven.append(vec![spec.append_to(tp(1))]);
        assert_eq!(outcomes, [appended((i64::from(id) - 1) * 3)]);
    }
}

fn ids(batches: &[Bytes]) -> Vec<u64> {
    batches.iter().map(|batch| id_of(batch)).collect()
}

// Conformance: main-job/7c
#[test]
fn nothing_is_visible_before_it_is_committed() {
    let mut driven = fresh();
    driven
        .log
        .append(vec![Spec::new(1).append_to(tp(1))], Box::new(|_| {}));
    assert_eq!(driven.log.bounds(tp(1)).unwrap().high_watermark, Offset(0));
    assert!(driven.log.queued_bytes() > 0);
    assert!(
        driven
            .log
            .read(tp(1), Offset(0), 1000)
            .unwrap()
            .batches
            .is_empty()
    );
    driven.commit();
    assert_eq!(driven.log.bounds(tp(1)).unwrap().high_watermark, Offset(1));
    assert_eq!(driven.log.queued_bytes(), 0);
    assert_eq!(*driven.received.advanced.lock().unwrap(), [tp(1)]);
}

#[test]
fn each_batch_gets_its_own_outcome() {
    let mut driven = fresh();
    let sent = |sequence| Spec {
        producer: Some((9, 0, sequence)),
        ..Spec::new(1)
    };
    let number = || Arc::new(AtomicU64::new(2));
    let still = Guard::new(number(), 2);
    let moved = Guard::new(number(), 1);
    let mut second_moved = still.clone();
    second_moved.add(number(), 1);
    let mut third_moved = still.clone();
    third_moved.add(number(), 2);
    third_moved.add(number(), 3);
    let guarded = |guard| {
        let mut batch = Spec::new(2).append_to(tp(2));
        batch.guard = Some(guard);
        batch
    };
    let mut cut = Spec::new(3).append_to(tp(2));
    cut.batch = cut.batch.slice(..90);
    let mut coordinator = sent(77).append_to(tp(1));
    coordinator.origin = Origin::Coordinator;
    let outcomes = driven.append(vec![
        sent(0).append_to(tp(1)),
        sent(5).append_to(tp(1)),
        sent(0).append_to(tp(1)),
        sent(1).append_to(tp(1)),
        Spec {
            producer: Some((9, 1, 0)),
            ..Spec::new(4)
        }
        .append_to(tp(1)),
        sent(2).append_to(tp(1)),
        coordinator,
        guarded(moved),
        guarded(second_moved),
        guarded(third_moved),
        guarded(still),
        cut,
        Spec::new(5).append_to(tp(99)),
    ]);
    let expected = [
        appended(0),
        AppendOutcome::OutOfOrderSequence,
        duplicate(0),
        appended(1),
        appended(2),
        AppendOutcome::InvalidProducerEpoch,
        appended(3),
        AppendOutcome::GuardChanged,
        AppendOutcome::GuardChanged,
        AppendOutcome::GuardChanged,
        appended(0),
        AppendOutcome::Malformed,
        AppendOutcome::UnknownPartition,
    ];
    assert_eq!(outcomes, expected);
}

#[test]
fn duplicates_are_detected_after_restarts() {
    let disk = SimDisk::new(Faults::default());
    let spec = |sequence: i32| Spec {
        producer: Some((9, 0, sequence)),
        ..Spec::new(sequence.unsigned_abs().into())
    };
    let mut driven = open(&disk);
    for sequence in 0..7 {
        driven.append(vec![spec(sequence).append_to(tp(1))]);
        if sequence == 4 {
            driven.checkpoint().unwrap();
        }
    }
    drop(driven);
    for attempt in 0..3 {
        let mut driven = open(&disk);
        let again =
            |driven: &mut Driven, sequence| driven.append(vec![spec(sequence).append_to(tp(1))])[0];
        for sequence in 2..7 {
            let header = BatchHeader::parse(&spec(sequence).build()).unwrap();
            let base_offset = Offset(sequence.into());
            let known = DuplicateCheck::Duplicate {
                base_offset,
                durable: true,
            };
            assert_eq!(
                driven.log.find_duplicate(tp(1), &header),
                known,
                "{attempt}"
            );
            assert_eq!(
                again(&mut driven, sequence),
                duplicate(sequence.into()),
                "{attempt}"
            );
        }
        assert_eq!(again(&mut driven, 1), AppendOutcome::DuplicateSequence);
        assert_eq!(again(&mut driven, 8), AppendOutcome::OutOfOrderSequence);
        driven.checkpoint().unwrap();
    }
}

#[test]
fn an_append_time_is_stamped_and_sealed() {
    let mut driven = fresh();
    let mut batch = Spec::new(1).append_to(tp(1));
    batch.append_time = Some(TimestampMs(777));
    let outcome = driven.append(vec![batch])[0];
    let expected = AppendOutcome::Appended {
        base_offset: Offset(0),
        log_start: Offset(0),
        append_time: Some(TimestampMs(777)),
    };
    assert_eq!(outcome, expected);
    driven.flush().unwrap();
    let stored = driven
        .log
        .read(tp(1), Offset(0), 1)
        .unwrap()
        .batches
        .remove(0);
    let header = BatchHeader::parse(&stored).unwrap();
    assert!(header.is_log_append_time() && crc_matches(&stored));
    assert_eq!(header.max_timestamp, TimestampMs(777));
    assert_eq!(header.leader_epoch, LeaderEpoch(0));
}

#[test]
fn reads_return_complete_batches() {
    // From, max bytes, returned ids.
    let cases: &[(i64, usize, &[u64])] = &[
        (0, 1, &[1]),
        (0, 0, &[1]),
        (0, 1999, &[1]),
        (0, 2000, &[1, 2]),
        (1, 2000, &[1, 2]),
        (2, 1, &[1]),
        (3, 1, &[2]),
        (29, 100, &[10]),
        (24, 1_000_000, &[9, 10]),
        (0, 1_000_000, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
        (30, 1000, &[]),
    ];
    let check = |driven: &Driven, place: &str| {
        for (from, max_bytes, expected) in cases {
            let read = driven.log.read(tp(1), Offset(*from), *max_bytes).unwrap();
            assert_eq!(ids(&read.batches), *expected, "{from} {max_bytes} {place}");
        }
        for outside in [-1, 31] {
            let error = driven.log.read(tp(1), Offset(outside), 1).unwrap_err();
            assert!(
                matches!(error, ReadError::OutOfRange { .. }),
                "{outside} {place}"
            );
        }
        let unknown = driven.log.read(tp(99), Offset(0), 1).unwrap_err();
        assert!(matches!(unknown, ReadError::UnknownPartition));
    };
    let disk = SimDisk::new(Faults::default());
    let mut driven = open(&disk);
    ten_batches(&mut driven);
    check(&driven, "between memory and segments");
    driven.close().unwrap();
    let driven = open(&disk);
    assert!(!driven.log.is_resident(tp(1), Offset(0)));
    assert!(driven.log.is_resident(tp(1), Offset(30)));
    check(&driven, "in segments");
    let segments = disk
        .files()
        .iter()
        .filter(|(path, _)| path.to_str().unwrap().ends_with(".log"))
        .count();
    assert_eq!(segments, 3, "of 4 KiB each");
}

#[test]
fn timestamps_are_found_everywhere() {
    let disk = SimDisk::new(Faults::default());
    let mut driven = open(&disk);
    ten_batches(&mut driven);
    let check = |driven: &Driven, first_id: u64| {
        for (ts, expected) in [(0, 1), (10, 1), (11, 2), (50, 5), (99, 10), (100, 10)] {
            let found = driven
                .log
                .offset_for_time(tp(1), Offset(0), TimestampMs(ts))
                .unwrap()
                .unwrap();
            let expected = expected.max(first_id);
            assert_eq!(id_of(&found.batch), expected, "timestamp {ts}");
            assert_eq!(found.base_offset.0.unsigned_abs(), (expected - 1) * 3);
        }
        assert_eq!(
            driven
                .log
                .offset_for_time(tp(1), Offset(0), TimestampMs(101))
                .unwrap(),
            None
        );
        let newest = driven.log.offset_of_max_timestamp(tp(1)).unwrap().unwrap();
        assert_eq!(newest.base_offset, Offset(27));
    };
    check(&driven, 1);
    driven.flush().unwrap();
    check(&driven, 1);
    driven
        .log
        .set_log_start(tp(1), Offset(8), Box::new(|raised| assert!(raised.is_ok())));
    driven.commit();
    check(&driven, 3);
    assert_eq!(driven.log.offset_of_max_timestamp(tp(2)).unwrap(), None);
}

#[test]
fn log_start_rises_within_bounds() {
    let mut driven = fresh();
    ten_batches(&mut driven);
    driven.checkpoint().unwrap();
    let raise = |driven: &mut Driven, offset| {
        let (sink, result) = std::sync::mpsc::sync_channel(1);
        let done = Box::new(move |raised| sink.send(raised).unwrap());
        driven.log.set_log_start(tp(1), Offset(offset), done);
        driven.commit();
        result.recv().unwrap()
    };
    assert!(raise(&mut driven, 31).is_err());
    assert_eq!(raise(&mut driven, 16), Ok(Offset(16)));
    assert_eq!(raise(&mut driven, 4), Ok(Offset(16)));
    assert!(driven.log.read(tp(1), Offset(15), 1).is_err());
    let there = read_all(&driven, tp(1)).unwrap();
    assert_eq!(
        there[0].0,
        Offset(15),
        "the whole batch around the log start"
    );
}

#[test]
fn tags_survive_a_restart() {
    let disk = SimDisk::new(Faults::default());
    let mut driven = open(&disk);
    let tagged = |tag| {
        let mut batch = Spec::new(1).append_to(tp(1));
        batch.tag = tag;
        batch
    };
    driven.append(vec![tagged(7)]);
    driven.checkpoint().unwrap();
    driven.append(vec![tagged(9)]);
    for driven in [driven, open(&disk)] {
        let held: Vec<u32> = (0..12)
            .filter(|tag| driven.log.may_hold_tag(tp(1), *tag))
            .collect();
        assert_eq!(held, [7, 9]);
    }
}

#[test]
fn full_memory_and_wal_flush_into_segments() {
    let disk = SimDisk::new(Faults::default());
    let mut driven = open(&disk);
    for id in 1..=300 {
        let topic = u128::from(id % 3) + 1;
        let outcome = driven.append(vec![
            Spec {
                bytes: 900,
                ..Spec::new(id)
            }
            .append_to(tp(topic)),
        ]);
        assert!(matches!(outcome[0], AppendOutcome::Appended { .. }));
    }
    assert!(!driven.log.is_resident(tp(1), Offset(0)));
    for topic in 1..=3 {
        assert_eq!(read_all(&driven, tp(topic)).unwrap().len(), 100);
    }
    let wal: usize = disk
        .files()
        .iter()
        .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "wal"))
        .map(|(_, content)| content.len())
        .sum();
    assert!(wal <= 32 << 10, "{wal} bytes of WAL");
}
