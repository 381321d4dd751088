//! Laws of the record walk. A fuzzer's bytes are a count of records and a section that should hold
//! them, and again a whole batch.

use avouch_protocol::batch::{self, BatchHeader, Codec, HEADER_BYTES};
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::records::{Record, RecordIter, verify_client_batch};
use avouch_protocol::types::{LeaderEpoch, Offset, TimestampMs};

/// A walk ends with its first fault, stays within the section, and finds what a builder writes.
///
/// # Panics
/// When a law is broken.
pub fn are_walked_whole(bytes: &[u8]) {
    if let Some((count, section)) = bytes.split_first() {
        walk(section, i32::from(*count) - 1);
    }
    let Ok(header) = BatchHeader::parse(bytes) else {
        return;
    };
    let whole = &bytes[..header.size_bytes];
    let section = &whole[HEADER_BYTES..];
    if verify_client_batch(&header, bytes.len(), section).is_ok() {
        let walked = walk(section, header.record_count);
        assert_eq!(
            walked.map(|records| records.len()),
            usize::try_from(header.record_count).ok()
        );
    }
    let sound = batch::crc_matches(whole);
    let mut stamped = whole.to_vec();
    batch::stamp(&mut stamped, Offset(1 << 40), LeaderEpoch(7));
    assert_eq!(batch::crc_matches(&stamped), sound, "stamping leaves a CRC");
    batch::stamp_append_time(&mut stamped, TimestampMs(1));
    assert!(batch::crc_matches(&stamped), "a new CRC is right");
}

/// The records of a section, if they fill it.
fn walk(section: &[u8], count: i32) -> Option<Vec<Record<'_>>> {
    let mut walk = RecordIter::new(section, count);
    let mut records = Vec::new();
    let mut end = 0;
    while let Some(record) = walk.next() {
        let Ok(record) = record else {
            assert!(walk.next().is_none(), "a walk ends with its first fault");
            return None;
        };
        assert!(record.position >= end, "records don't overlap");
        end = record.position + 1;
        for part in [record.key, record.value].into_iter().flatten() {
            assert!(section.as_ptr_range().contains(&part.as_ptr()) || part.is_empty());
            end = end.max(part.as_ptr_range().end.addr() - section.as_ptr().addr());
        }
        assert!(end <= section.len());
        records.push(record);
    }
    assert_eq!(i32::try_from(records.len()).ok(), Some(count.max(0)));
    comes_back(&records);
    Some(records)
}

/// What a builder writes of records is walked to the same records.
fn comes_back(records: &[Record<'_>]) {
    if records.is_empty() {
        return;
    }
    let mut builder = BatchBuilder::new(Codec::None);
    for record in records {
        let headers: Vec<_> = record.headers.map(|h| (h.key, h.value)).collect();
        builder.push(record.key, record.value, TimestampMs(0), &headers);
    }
    let batch = builder.finish();
    let count = i32::try_from(records.len()).expect("one byte counts them");
    let again = RecordIter::new(&batch[HEADER_BYTES..], count);
    for (record, again) in records.iter().zip(again) {
        let again = again.expect("the builder writes whole records");
        assert_eq!((again.key, again.value), (record.key, record.value));
        assert!(again.headers.eq(record.headers));
    }
}
