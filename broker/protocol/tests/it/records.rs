//! Record batches: comparison with the reference implementation, malformed batches, and batches
//! that clients must not send.

use avouch_protocol::batch::{BatchHeader, Codec, HEADER_BYTES, crc_matches};
use avouch_protocol::builder::BatchBuilder;
use avouch_protocol::compress::{Decompressor, Limits, compress};
use avouch_protocol::records::{
    ClientBatchError, MAX_HEADERS, RecordFault, RecordIter, verify_client_batch,
};
use avouch_protocol::types::{Offset, ProducerEpoch, ProducerId, Sequence, TimestampMs};
use bytes::{Bytes, BytesMut};
use kafka_protocol::indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records as reference;

const CODECS: [Codec; 5] = [
    Codec::None,
    Codec::Gzip,
    Codec::Snappy,
    Codec::Lz4,
    Codec::Zstd,
];

type Fields = (
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    i64,
    Vec<(Vec<u8>, Option<Vec<u8>>)>,
);

/// Returns records with null and empty components, and values that span several snappy blocks.
fn samples() -> Vec<Fields> {
    let mut records: Vec<Fields> = vec![
        // Null and empty components have different encodings.
        (None, None, 1_000, vec![]),
        (
            Some(vec![]),
            Some(vec![]),
            999,
            vec![(b"".to_vec(), Some(vec![]))],
        ),
        (
            Some(b"key".to_vec()),
            None,
            1_000,
            vec![(b"h".to_vec(), None), (b"i".to_vec(), None)],
        ),
    ];
    records.extend((0..300_u16).map(|index| {
        // 300 records of up to 600 bytes exceed a snappy block of 32 KiB.
        let value = index.to_be_bytes().repeat(usize::from(index) + 1);
        (
            None,
            Some(value),
            1_000 + i64::from(index),
            vec![(b"h".to_vec(), Some(vec![1, 2]))],
        )
    }));
    records
}

fn build(codec: Codec, records: &[Fields]) -> Bytes {
    let mut builder =
        BatchBuilder::new(codec).producer(ProducerId(7), ProducerEpoch(2), Sequence(40));
    for (key, value, timestamp, headers) in records {
        let headers: Vec<_> = headers
            .iter()
            .map(|(key, value)| (key.as_slice(), value.as_deref()))
            .collect();
        builder.push(
            key.as_deref(),
            value.as_deref(),
            TimestampMs(*timestamp),
            &headers,
        );
    }
    builder.finish()
}

fn read(batch: &[u8]) -> Vec<Fields> {
    let header = BatchHeader::parse(batch).unwrap();
    let mut decompressor = Decompressor::new();
    let section = decompressor
        .decompress(
            header.codec().unwrap(),
            &batch[HEADER_BYTES..],
            Limits::default(),
        )
        .unwrap();
    RecordIter::new(section, header.record_count)
        .map(|record| {
            let record = record.unwrap();
            (
                record.key.map(<[u8]>::to_vec),
                record.value.map(<[u8]>::to_vec),
                // Timestamps are stored relative to the base timestamp.
                header.base_timestamp.0 + record.timestamp_delta,
                record
                    .headers
                    .map(|header| (header.key.to_vec(), header.value.map(<[u8]>::to_vec)))
                    .collect(),
            )
        })
        .collect()
}

#[test]
fn built_batches_match_reference_implementation() {
    for codec in CODECS {
        let samples = samples();
        let batch = build(codec, &samples);
        assert!(crc_matches(&batch));
        let set = reference::RecordBatchDecoder::decode_with_custom_compression(
            &mut batch.clone(),
            // The codecs are not those of Avouch, so that errors cannot cancel out.
            Some(|bytes: &mut Bytes, codec| Ok(one_shot_decompress(bytes, codec))),
        )
        .unwrap();
        assert_eq!(set.records.len(), samples.len());
        for (index, (record, sample)) in (0..).zip(set.records.iter().zip(&samples)) {
            let headers: Vec<_> = record
                .headers
                .iter()
                .map(|(key, value)| (key.as_bytes().to_vec(), value.as_ref().map(|v| v.to_vec())))
                .collect();
            let key = record.key.as_ref().map(|key| key.to_vec());
            let value = record.value.as_ref().map(|value| value.to_vec());
            assert_eq!(
                (key, value, record.timestamp, headers),
                *sample,
                "{codec:?} {index}"
            );
            assert_eq!(record.offset, i64::from(index));
            assert_eq!((record.producer_id, record.producer_epoch), (7, 2));
            assert_eq!(record.sequence, 40 + index);
        }
    }
}

#[test]
fn batches_of_reference_implementation_are_read() {
    let codecs = [
        reference::Compression::None,
        reference::Compression::Gzip,
        reference::Compression::Snappy,
        reference::Compression::Lz4,
        reference::Compression::Zstd,
    ];
    let samples = samples();
    let records: Vec<_> = (0..)
        .zip(&samples)
        .map(|(index, sample)| reference_record(index, sample))
        .collect();
    for compression in codecs {
        let options = reference::RecordEncodeOptions {
            version: 2,
            compression,
        };
        let mut batch = BytesMut::new();
        reference::RecordBatchEncoder::encode_with_custom_compression(
            &mut batch,
            &records,
            &options,
            Some(|section: &mut BytesMut, out: &mut BytesMut, codec| {
                out.extend_from_slice(&one_shot_compress(section, codec));
                Ok(())
            }),
        )
        .unwrap();
        assert!(crc_matches(&batch));
        assert_eq!(read(&batch), samples);
    }
}

fn reference_record(index: i32, (key, value, timestamp, headers): &Fields) -> reference::Record {
    reference::Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: 0,
        producer_id: -1,
        producer_epoch: -1,
        timestamp_type: reference::TimestampType::Creation,
        offset: index.into(),
        sequence: index,
        timestamp: *timestamp,
        key: key.clone().map(Bytes::from),
        value: value.clone().map(Bytes::from),
        headers: headers
            .iter()
            .map(|(key, value)| {
                let key = StrBytes::from_utf8(key.clone().into()).unwrap();
                (key, value.clone().map(Bytes::from))
            })
            .collect::<IndexMap<_, _>>(),
    }
}

/// Decompresses with each codec's one-shot function, and parses xerial framing by hand.
fn one_shot_decompress(bytes: &[u8], codec: reference::Compression) -> Bytes {
    use std::io::Read;
    let mut out = Vec::new();
    match codec {
        reference::Compression::None => out.extend_from_slice(bytes),
        reference::Compression::Gzip => {
            flate2::read::GzDecoder::new(bytes)
                .read_to_end(&mut out)
                .unwrap();
        }
        reference::Compression::Snappy => {
            // The header of xerial framing: magic, version 1, compatible with version 1.
            assert_eq!(&bytes[..16], b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
            let mut rest = &bytes[16..];
            while let Some((length, after)) = rest.split_first_chunk() {
                let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
                let (block, after) = after.split_at(length);
                out.extend(snap::raw::Decoder::new().decompress_vec(block).unwrap());
                rest = after;
            }
        }
        reference::Compression::Lz4 => {
            lz4_flex::frame::FrameDecoder::new(bytes)
                .read_to_end(&mut out)
                .unwrap();
        }
        reference::Compression::Zstd => out = zstd::stream::decode_all(bytes).unwrap(),
    }
    out.into()
}

/// Compresses like librdkafka, with raw snappy.
fn one_shot_compress(bytes: &[u8], codec: reference::Compression) -> Vec<u8> {
    match codec {
        reference::Compression::None => bytes.to_vec(),
        reference::Compression::Gzip => compress(Codec::Gzip, bytes),
        reference::Compression::Snappy => snap::raw::Encoder::new().compress_vec(bytes).unwrap(),
        reference::Compression::Lz4 => compress(Codec::Lz4, bytes),
        reference::Compression::Zstd => zstd::stream::encode_all(bytes, 1).unwrap(),
    }
}

#[test]
fn repeated_header_keys_keep_their_order() {
    let headers: [(&[u8], Option<&[u8]>); 3] =
        [(b"a", Some(b"1")), (b"b", None), (b"a", Some(b"2"))];
    let mut builder = BatchBuilder::new(Codec::None);
    let batch = builder.push(None, None, TimestampMs(5), &headers).finish();
    let record = RecordIter::new(&batch[HEADER_BYTES..], 1)
        .next()
        .unwrap()
        .unwrap();
    let read: Vec<_> = record
        .headers
        .map(|header| (header.key, header.value))
        .collect();
    assert_eq!(read, headers);
}

#[test]
fn builder_sets_counts_and_attributes() {
    let mut builder = BatchBuilder::new(Codec::None).transactional().control();
    assert!(builder.is_empty());
    builder.push(Some(b"k"), Some(b"v"), TimestampMs(20), &[]);
    builder.push(Some(b"k"), Some(b"v"), TimestampMs(10), &[]);
    assert_eq!(builder.len(), 2);
    let header = BatchHeader::parse(&builder.finish()).unwrap();
    assert!(header.is_transactional() && header.is_control() && !header.has_producer());
    assert_eq!((header.record_count, header.last_offset_delta), (2, 1));
    assert_eq!(
        (header.base_timestamp, header.max_timestamp),
        (TimestampMs(20), TimestampMs(20))
    );
}

/// Encodes a record with the given bytes after its length.
fn record(fields: &[u8]) -> Vec<u8> {
    // The zigzag encoding of a small positive number is its double.
    let mut bytes = vec![u8::try_from(fields.len()).unwrap() * 2];
    bytes.extend_from_slice(fields);
    bytes
}

/// Checks the error of a section that should contain two records: record index, byte position,
/// fault.
#[track_caller]
fn assert_fault(section: &[u8], expected: (i32, usize, RecordFault)) {
    let mut records = RecordIter::new(section, 2);
    let error = records.by_ref().find_map(Result::err).unwrap();
    assert_eq!((error.index, error.at, error.fault), expected);
    assert!(
        records.next().is_none(),
        "iteration continued after an error"
    );
}

/// A record with null key and value: attributes, timestamp delta, offset delta, key, value, header
/// count.
const NULLS: [u8; 6] = [0, 0, 0, 1, 1, 0];

// Conformance: broker/input-7
#[test]
fn section_must_contain_counted_records() {
    let complete = record(&NULLS);
    assert_fault(&[], (0, 0, RecordFault::Truncated));
    assert_fault(&complete, (1, 7, RecordFault::Truncated));
    // The third record is the excess.
    assert_fault(&complete.repeat(3), (2, 14, RecordFault::LongSection(7)));
}

#[test]
fn record_must_contain_exactly_its_fields() {
    // Length 7, but one byte follows.
    assert_fault(&[14, 0], (0, 1, RecordFault::Truncated));
    assert_fault(&[1], (0, 0, RecordFault::BadLength(-1)));
    assert_fault(&[0x80; 6], (0, 0, RecordFault::BadVarint));
    assert_fault(&record(&NULLS[..5]), (0, 6, RecordFault::Truncated));
    assert_fault(
        &record(&[0, 0, 0, 20, 1, 0]),
        (0, 5, RecordFault::Truncated),
    );
    assert_fault(
        &record(&[0, 0, 0, 3, 1, 0]),
        (0, 4, RecordFault::BadLength(-2)),
    );
    assert_fault(
        &record(&[0, 0, 0, 1, 1, 0, 9]),
        (0, 7, RecordFault::LongRecord(1)),
    );
}

// Conformance: broker/input-9
#[test]
fn header_counts_and_keys_are_checked() {
    let nulls_and = |headers: &[u8]| record(&[&NULLS[..5], headers].concat());
    assert_fault(&nulls_and(&[1]), (0, 6, RecordFault::BadHeaderCount(-1)));
    assert_fault(
        // The varint 1001.
        &nulls_and(&[0xd2, 0x0f]),
        (0, 6, RecordFault::BadHeaderCount(1001)),
    );
    assert_fault(&nulls_and(&[2, 1, 1]), (0, 7, RecordFault::BadLength(-1)));
    assert_fault(&nulls_and(&[4, 0, 1]), (0, 9, RecordFault::Truncated));
}

// Conformance: broker/input-9
#[test]
fn maximum_header_count_is_accepted() {
    let count = usize::try_from(MAX_HEADERS).unwrap();
    let headers = vec![(&b""[..], None); count];
    let batch = BatchBuilder::new(Codec::None)
        .push(None, None, TimestampMs(0), &headers)
        .finish();
    let record = RecordIter::new(&batch[HEADER_BYTES..], 1)
        .next()
        .unwrap()
        .unwrap();
    assert_eq!(record.headers.count(), count);
}

// Conformance: broker/input-7, validator/5
#[test]
fn truncated_or_corrupt_batch_never_panics() {
    let samples = &samples()[..20];
    let mut decompressor = Decompressor::new();
    for codec in CODECS {
        let batch = build(codec, samples);
        let compressed = &batch[HEADER_BYTES..];
        let mut passes = |bytes: &[u8]| {
            let section = decompressor.decompress(codec, bytes, Limits::default());
            section.is_ok_and(|section| RecordIter::new(section, 20).all(|record| record.is_ok()))
        };
        assert!(passes(compressed), "{codec:?}");
        // Every proper prefix must be an error, also of codecs without an end mark.
        for end in 0..compressed.len() {
            assert!(
                !passes(&compressed[..end]),
                "{codec:?} to {end} of {}",
                compressed.len()
            );
        }
        for at in 0..compressed.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut corrupt = compressed.to_vec();
                corrupt[at] ^= flip;
                // Codecs without a checksum can return other records; the batch CRC detects that.
                passes(&corrupt);
            }
        }
        assert!(passes(compressed), "{codec:?} after errors");
    }
}

// Conformance: broker/produce-1, broker/input-7
#[test]
fn invalid_client_batches_are_rejected_by_name() {
    let count = |record_count, last_offset_delta| ClientBatchError::BadCount {
        record_count,
        last_offset_delta,
    };
    type Change = fn(&mut BatchHeader);
    let cases: [(&str, Change, usize, ClientBatchError); 8] = [
        (
            "two batches",
            |_| (),
            5,
            ClientBatchError::MoreThanOneBatch(5),
        ),
        (
            "an offset",
            |header| header.base_offset = Offset(3),
            0,
            ClientBatchError::BaseOffset(3),
        ),
        (
            "no record",
            |header| header.record_count = 0,
            0,
            count(0, 2),
        ),
        (
            "fewer records than counted",
            |header| header.record_count = 2,
            0,
            count(2, 2),
        ),
        (
            "gaps",
            |header| header.last_offset_delta = 4,
            0,
            count(3, 4),
        ),
        (
            "control",
            // Bit 5 marks a control batch, bit 3 the timestamp type LogAppendTime.
            |header| header.attributes |= 0x20,
            0,
            ClientBatchError::Control,
        ),
        (
            "append time",
            |header| header.attributes |= 0x08,
            0,
            ClientBatchError::AppendTime,
        ),
        (
            "no sequence",
            |header| header.base_sequence = Sequence(-1),
            0,
            ClientBatchError::NoSequence,
        ),
    ];
    let batch = build(Codec::None, &samples()[..3]);
    let header = BatchHeader::parse(&batch).unwrap();
    let section = &batch[HEADER_BYTES..];
    assert_eq!(
        verify_client_batch(&header, batch.len(), section),
        Ok(TimestampMs(1_000))
    );
    for (name, change, more_bytes, error) in cases {
        let mut header = header;
        change(&mut header);
        let result = verify_client_batch(&header, batch.len() + more_bytes, section);
        assert_eq!(result, Err(error), "{name}");
    }
}

// Conformance: broker/produce-1, broker/input-7
#[test]
fn client_offsets_start_at_zero() {
    let batch = build(Codec::None, &samples()[..2]);
    let header = BatchHeader::parse(&batch).unwrap();
    let mut section = batch[HEADER_BYTES..].to_vec();
    // After length, attributes and timestamp delta: the offset delta 1.
    section[3] = 2;
    let error = verify_client_batch(&header, batch.len(), &section).unwrap_err();
    assert_eq!(
        error.to_string(),
        "record 0, byte 0: offset delta 1 differs from the record's index"
    );
}
