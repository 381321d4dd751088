//! Invariants of the record iterator. The bytes are a record count and a record section, and also a
//! complete batch.

use avouch_protocol::batch::{self, BatchHeader, Codec, HEADER_BYTES};
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::records::{Record, RecordIter, verify_client_batch};
use avouch_protocol::types::{LeaderEpoch, Offset, TimestampMs};

/// Checks that iteration ends at the first error, stays within the section, and returns the records
/// that the batch builder wrote.
///
/// # Panics
/// Panics if an invariant is violated.
pub fn check(bytes: &[u8]) {
    if let Some((count, section)) = bytes.split_first() {
        // Includes the invalid count -1.
        iterate(section, i32::from(*count) - 1);
    }
    let Ok(header) = BatchHeader::parse(bytes) else {
        return;
    };
    let batch_bytes = &bytes[..header.size_bytes];
    let section = &batch_bytes[HEADER_BYTES..];
    if verify_client_batch(&header, bytes.len(), section).is_ok() {
        let records = iterate(section, header.record_count);
        assert_eq!(
            records.map(|records| records.len()),
            usize::try_from(header.record_count).ok()
        );
    }
    let is_valid = batch::crc_matches(batch_bytes);
    let mut stamped = batch_bytes.to_vec();
    batch::stamp(&mut stamped, Offset(1 << 40), LeaderEpoch(7));
    assert_eq!(
        batch::crc_matches(&stamped),
        is_valid,
        "stamp changed the CRC"
    );
    batch::stamp_append_time(&mut stamped, TimestampMs(1));
    assert!(batch::crc_matches(&stamped), "wrong new CRC");
}

/// Returns the records of a section, if they fill it completely.
fn iterate(section: &[u8], count: i32) -> Option<Vec<Record<'_>>> {
    let mut iter = RecordIter::new(section, count);
    let mut records = Vec::new();
    let mut end = 0;
    while let Some(record) = iter.next() {
        let Ok(record) = record else {
            assert!(iter.next().is_none(), "iteration continued after an error");
            return None;
        };
        assert!(record.position >= end, "records overlap");
        end = record.position + 1;
        for part in [record.key, record.value].into_iter().flatten() {
            assert!(section.as_ptr_range().contains(&part.as_ptr()) || part.is_empty());
            end = end.max(part.as_ptr_range().end.addr() - section.as_ptr().addr());
        }
        assert!(end <= section.len());
        records.push(record);
    }
    assert_eq!(i32::try_from(records.len()).ok(), Some(count.max(0)));
    check_round_trip(&records);
    Some(records)
}

/// Checks that records written by the builder are read as the same records.
fn check_round_trip(records: &[Record<'_>]) {
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
        let again = again.expect("the builder writes complete records");
        assert_eq!((again.key, again.value), (record.key, record.value));
        assert!(again.headers.eq(record.headers));
    }
}
