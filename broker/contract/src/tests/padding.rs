//! The protocol pads records as far as the validator's loads reach.

use avouch_avro::validator::{PADDING_BYTES, Padded};
use avouch_protocol::compress::{Decompressor, Limits};
use avouch_protocol::section;

use super::*;

// Conformance: validator/3a
#[test]
fn decompressed_records_have_validator_padding() {
    assert_eq!(section::PADDING_BYTES, PADDING_BYTES);
    let values: Vec<_> = (0..100_u8).map(|at| vec![at; at.into()]).collect();
    for codec in [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ] {
        let mut builder = BatchBuilder::new(codec);
        for value in &values {
            builder.push(None, Some(value), TimestampMs(0), &[]);
        }
        let batch = builder.finish();
        let frame = [&batch[..], &[0; PADDING_BYTES]].concat();
        let compressed = Section::within(&frame, &frame[HEADER_BYTES..batch.len()]);
        let mut decompressor = Decompressor::new();
        let section = decompressor
            .decompress(codec, compressed, Limits::default())
            .unwrap();
        for (record, value) in RecordIter::new(section, 100).zip(&values) {
            let found = record.unwrap().value.unwrap();
            assert_eq!(found, value, "{codec:?}");
            let padded = Padded::within(section.memory(), found);
            assert!(padded.is_some(), "{codec:?}: it would be copied: {value:?}");
        }
    }
}
