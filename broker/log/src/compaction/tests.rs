//! Table tests of compacting one batch.

use avouch_protocol::batch::{BatchHeader, Codec, HEADER_BYTES, crc_matches, stamp};
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::compress::{Decompressor, Limits};
use avouch_protocol::records::RecordIter;
use avouch_protocol::types::{
    LeaderEpoch, Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs,
};

use super::latest::Latest;
use super::rewrite::{Rewritten, Rules, delete_horizon, rewrite};

const BASE: i64 = 100;
const CODECS: [Codec; 5] = [
    Codec::None,
    Codec::Gzip,
    Codec::Snappy,
    Codec::Lz4,
    Codec::Zstd,
];

/// Key and value; `None` is null.
type KeyValue<'a> = (Option<&'a str>, Option<&'a str>);
/// Offset, timestamp, key, value, headers.
type Found = (i64, i64, Option<Vec<u8>>, Option<Vec<u8>>, usize);

/// A batch at offset 100 whose records have timestamps 1000, 1010, 1020 and so on.
fn batch(codec: Codec, records: &[KeyValue<'_>]) -> Vec<u8> {
    let mut builder =
        BatchBuilder::new(codec).producer(ProducerId(7), ProducerEpoch(3), Sequence(40));
    for ((key, value), at) in records.iter().zip(0..) {
        let header: (&[u8], Option<&[u8]>) = (b"h", Some(b"v"));
        let timestamp = TimestampMs(1_000 + at * 10);
        let (key, value) = (key.map(str::as_bytes), value.map(str::as_bytes));
        builder.push(key, value, timestamp, &[header]);
    }
    let mut batch = builder.finish().to_vec();
    stamp(&mut batch, Offset(BASE), LeaderEpoch(5));
    batch
}

fn latest(newest: &[(&str, i64)], end: i64) -> Latest {
    let mut latest = Latest::new(1 << 20);
    for (key, offset) in newest {
        latest.note(key.as_bytes(), Offset(*offset));
    }
    latest.noted_to(Offset(end));
    latest
}

fn rules(latest: &Latest, now: i64, keep_empty: bool) -> Rules<'_> {
    Rules {
        latest,
        now: TimestampMs(now),
        delete_retention_ms: 500,
        keep_empty,
        limits: Limits::default(),
    }
}

fn run(batch: &[u8], rules: Rules<'_>) -> Rewritten {
    rewrite(batch, &mut Decompressor::new(), rules).unwrap()
}

fn records(batch: &[u8]) -> Vec<Found> {
    let header = BatchHeader::parse(batch).unwrap();
    let mut decompressor = Decompressor::new();
    let section = decompressor
        .decompress(
            header.codec().unwrap(),
            &batch[HEADER_BYTES..],
            Limits::default(),
        )
        .unwrap();
    let found = |record: Result<avouch_protocol::records::Record<'_>, _>| {
        let record = record.unwrap();
        (
            header.base_offset.0 + i64::from(record.offset_delta),
            header.base_timestamp.0 + record.timestamp_delta,
            record.key.map(<[u8]>::to_vec),
            record.value.map(<[u8]>::to_vec),
            record.headers.count(),
        )
    };
    RecordIter::new(section, header.record_count)
        .map(found)
        .collect()
}

// Conformance: log/2
#[test]
fn compaction_removes_superseded_records_in_every_codec() {
    let sent = [
        (Some("a"), Some("1")),
        (Some("b"), Some("2")),
        (None, Some("3")),
        (Some("a"), Some("4")),
        (Some("c"), Some("5")),
    ];
    for codec in CODECS {
        let before = batch(codec, &sent);
        let newest = latest(&[("a", BASE + 3), ("b", 999), ("c", BASE + 4)], 1_000);
        let Rewritten::Other(after) = run(&before, rules(&newest, 0, false)) else {
            panic!("{codec:?}: a and b were superseded");
        };
        let all = records(&before);
        assert_eq!(
            records(&after),
            [all[3].clone(), all[4].clone()],
            "{codec:?}"
        );
        assert!(crc_matches(&after));
        let (old, new) = (
            BatchHeader::parse(&before).unwrap(),
            BatchHeader::parse(&after).unwrap(),
        );
        let same = BatchHeader {
            size_bytes: new.size_bytes,
            crc: new.crc,
            record_count: 2,
            ..old
        };
        assert_eq!(new, same, "{codec:?}");
        assert_eq!(run(&after, rules(&newest, 0, false)), Rewritten::Same);
    }
}

#[test]
fn records_that_were_not_compared_stay() {
    let before = batch(Codec::None, &[(Some("a"), Some("1")), (None, None)]);
    for end in [0, BASE] {
        let newest = latest(&[("a", 999)], end);
        assert_eq!(run(&before, rules(&newest, 0, false)), Rewritten::Same);
    }
    let newest = latest(&[("a", 999)], BASE + 1);
    let Rewritten::Other(after) = run(&before, rules(&newest, 0, false)) else {
        panic!("the first was compared");
    };
    assert_eq!(records(&after).len(), 1, "the second was not");
}

// Conformance: log/5
#[test]
fn empty_batch_is_removed_or_kept() {
    let before = batch(
        Codec::Lz4,
        &[(Some("a"), Some("1")), (Some("a"), Some("2"))],
    );
    let newest = latest(&[("a", 999)], 1_000);
    assert_eq!(run(&before, rules(&newest, 0, false)), Rewritten::Gone);
    let Rewritten::Other(after) = run(&before, rules(&newest, 0, true)) else {
        panic!("it is its producer's last");
    };
    let (old, new) = (
        BatchHeader::parse(&before).unwrap(),
        BatchHeader::parse(&after).unwrap(),
    );
    assert_eq!((after.len(), new.record_count), (HEADER_BYTES, 0));
    assert!(crc_matches(&after) && records(&after).is_empty());
    assert_eq!(new.codec(), Ok(Codec::None));
    assert_eq!(
        (new.base_offset, new.last_offset(), new.leader_epoch),
        (old.base_offset, old.last_offset(), old.leader_epoch)
    );
    assert_eq!(
        (new.producer_id, new.producer_epoch, new.last_sequence()),
        (old.producer_id, old.producer_epoch, old.last_sequence())
    );
    assert_eq!(run(&after, rules(&newest, 0, true)), Rewritten::Same);
    assert_eq!(run(&after, rules(&newest, 0, false)), Rewritten::Gone);
}

// Conformance: log/3
#[test]
fn tombstone_is_removed_after_its_horizon() {
    let sent = [(Some("a"), None), (Some("b"), Some("2"))];
    for codec in CODECS {
        let before = batch(codec, &sent);
        let newest = latest(&[("a", BASE), ("b", BASE + 1)], 1_000);
        let Rewritten::Other(first) = run(&before, rules(&newest, 2_000, false)) else {
            panic!("{codec:?}: it gets a horizon");
        };
        assert_eq!(records(&first), records(&before), "{codec:?}");
        let header = BatchHeader::parse(&first).unwrap();
        assert_eq!(delete_horizon(&header), Some(TimestampMs(2_500)));
        assert_eq!(header.max_timestamp, TimestampMs(1_010));
        assert_eq!(run(&first, rules(&newest, 2_499, false)), Rewritten::Same);
        let Rewritten::Other(second) = run(&first, rules(&newest, 2_500, false)) else {
            panic!("{codec:?}: it may go now");
        };
        assert_eq!(records(&second), records(&before)[1..], "{codec:?}");
    }
}

#[test]
fn control_batches_and_transactions_are_left_alone() {
    let mut builder = BatchBuilder::new(Codec::None).transactional();
    builder.push(Some(b"a"), Some(b"1"), TimestampMs(1), &[]);
    let mut control = BatchBuilder::new(Codec::None).control();
    control.push(Some(b"a"), None, TimestampMs(1), &[]);
    let newest = latest(&[("a", 999)], 1_000);
    for batch in [builder.finish(), control.finish()] {
        assert_eq!(
            run(&batch, rules(&newest, i64::MAX, false)),
            Rewritten::Same
        );
    }
}

#[test]
fn invalid_batch_is_an_error() {
    let mut torn = batch(Codec::None, &[(Some("a"), Some("1"))]);
    torn.truncate(torn.len() - 1);
    let length = i32::try_from(torn.len() - 12).unwrap();
    torn[8..12].copy_from_slice(&length.to_be_bytes());
    let newest = latest(&[("a", 999)], 1_000);
    let result = rewrite(&torn, &mut Decompressor::new(), rules(&newest, 0, false));
    assert!(result.is_err());
}
